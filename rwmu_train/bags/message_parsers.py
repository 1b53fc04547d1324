"""ROS messages to numbers in RobotSpec order.

What makes a whole topic useless (a joint missing, another frame, no effort) is an error that names
it. What spoils a single message (a number that is not finite) is a `Fault` of that message.
Messages are whatever a ROS library makes of them: only their fields are used. J = joints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import BagError
from rwmu_deploy.contract.joint_map import JointMap
from rwmu_deploy.contract.labelled_table import (
    COMMAND_COLUMNS,
    contact_of_table,
    table_of_message,
)
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.bags.message_series import Fault
from rwmu_train.bags.topic_roles import ARRAY_TYPE, STAMPED_TWIST_TYPE, TRAJECTORY_TYPE

FloatArray = NDArray[np.float64]

QUATERNION_COLUMNS = slice(0, 4)
"""w, x, y, z in the values of an attitude parser."""
ANGULAR_VELOCITY_COLUMNS = slice(4, 7)

_NOT_PROVIDED = -1.0
_QUATERNION_NORM_TOLERANCE = 0.02
_GAIN_TOLERANCE = 1e-6


class Parsed(NamedTuple):
    """Numbers of one message."""

    values: FloatArray
    fault: Fault


Parser = Callable[[Any], Parsed | None]
"""Returns None for a message about other joints."""


class JointNames:
    """Brings the joints of a topic's messages into RobotSpec order.

    Args:
        spec: The robot.
        topic: For errors.
    """

    def __init__(self, spec: RobotSpec, topic: str) -> None:
        self._spec = spec
        self._topic = topic
        self._known: dict[tuple[str, ...], JointMap | None] = {}

    def map_of(self, names: Sequence[str]) -> JointMap | None:
        """The map of a message's names; None if they name none of the robot's joints.

        Raises:
            RobotSpecError: They name some of the robot's joints and not all, or one twice.
        """
        key = tuple(names)
        if key not in self._known:
            ours = set(key) & set(self._spec.joint_names)
            self._known[key] = (
                JointMap(key, self._spec.joint_names, source=f"topic {self._topic}")
                if ours
                else None
            )
        return self._known[key]


def joint_state_parser(spec: RobotSpec, topic: str, *, with_effort: bool) -> Parser:
    """Position [rad], velocity [rad/s] and, if wanted, effort [N m]: 2 J or 3 J numbers.

    Raises when parsing:
        BagError: A message has no velocities, or no efforts although they are wanted.
    """
    joints = JointNames(spec, topic)
    fields = ("position", "velocity", "effort") if with_effort else ("position", "velocity")

    def parse(message: Any) -> Parsed | None:
        joint_map = joints.map_of(message.name)
        if joint_map is None:
            return None
        for field in fields:
            values = getattr(message, field)
            if len(values) != len(message.name):
                raise BagError(
                    f"{topic} has {len(message.name)} joint names and {len(values)} {field} "
                    f"values; allowed is one {field} a name",
                    fix=_EFFORT_FIX if field == "effort" else f"Record {field} of every joint.",
                )
        return _checked(np.concatenate([joint_map(getattr(message, field)) for field in fields]))

    return parse


_EFFORT_FIX = (
    "Record measured joint torques, or pass --torque pd to estimate them from targets and gains."
)


def imu_parser(topic: str, frame: str) -> Parser:
    """Orientation w, x, y, z (base to world) and angular velocity [rad/s], base frame.

    Raises when parsing:
        BagError: Another frame, or a part marked as not provided (covariance[0] = -1, REP 145).
    """

    def parse(message: Any) -> Parsed:
        _refuse_frame(topic, "frame_id", message.header.frame_id, frame, "--imu-frame")
        for field in ("orientation", "angular_velocity"):
            if getattr(message, f"{field}_covariance")[0] == _NOT_PROVIDED:
                raise BagError(
                    f"{topic} says that it has no {field} (covariance[0] is -1)",
                    fix="Name another IMU, or pass --topics imu=none to use the odometry's pose "
                    "and twist.",
                )
        return _attitude(message.orientation, message.angular_velocity)

    return parse


def odometry_velocity_parser(topic: str, frame: str) -> Parser:
    """Linear velocity of the base frame's origin [m/s], base frame.

    Raises when parsing:
        BagError: The twist is of another frame, or marked as not provided.
    """

    def parse(message: Any) -> Parsed:
        _refuse_twist(topic, message, frame)
        return _checked(_vector(message.twist.twist.linear))

    return parse


def odometry_attitude_parser(topic: str, frame: str) -> Parser:
    """As `imu_parser`, from the pose and the twist of an odometry.

    Raises when parsing:
        BagError: The twist is of another frame, or marked as not provided.
    """

    def parse(message: Any) -> Parsed:
        _refuse_twist(topic, message, frame)
        return _attitude(message.pose.pose.orientation, message.twist.twist.angular)

    return parse


def joint_command_parser(
    spec: RobotSpec, topic: str, kind: str, joint_order: Sequence[str]
) -> Parser:
    """Position targets [rad], J numbers.

    Args:
        spec: The robot.
        topic: For errors.
        kind: Type of the topic.
        joint_order: Joints of a Float64MultiArray without labels, in its order; may be empty.

    Raises when parsing:
        BagError: An array without labels while `joint_order` is empty, or of another length.
        RobotLinkError: A labelled table that contradicts itself.
        RobotSpecError: A joint is missing.
    """
    joints = JointNames(spec, topic)

    def parse_named(message: Any) -> Parsed | None:
        if kind == TRAJECTORY_TYPE:
            names = message.joint_names
            positions = message.points[0].positions if len(message.points) else []
        else:
            names, positions = message.name, message.position
        return _targets(joints, topic, names, positions)

    def parse_array(message: Any) -> Parsed | None:
        if len(message.layout.dim) == 2 and message.layout.dim[0].label:
            return _labelled_targets(spec, joints, topic, message)
        if not joint_order:
            raise BagError(
                f"{topic} has {len(message.data)} numbers without joint names",
                fix="Name the joints in the controller's order: --command-joints "
                f"{spec.joint_names[0]} ....",
            )
        return _targets(joints, topic, joint_order, message.data)

    return parse_array if kind == ARRAY_TYPE else parse_named


def velocity_parser(kind: str) -> Parser:
    """A velocity command: vx [m/s], vy [m/s], wz [rad/s], base frame."""

    def parse(message: Any) -> Parsed:
        twist = message.twist if kind == STAMPED_TWIST_TYPE else message
        return _checked(np.array([twist.linear.x, twist.linear.y, twist.angular.z]))

    return parse


def contact_parser(spec: RobotSpec, topic: str) -> Parser:
    """Contacts in the order of the robot's contact names, 0 or 1; bodies not named are 0.

    Raises when parsing:
        RobotLinkError: Not a labelled table of contacts.
    """

    def parse(message: Any) -> Parsed:
        table = table_of_message(message, source=topic)
        return Parsed(contact_of_table(table, spec.contact_names), Fault.NONE)

    return parse


def _labelled_targets(
    spec: RobotSpec, joints: JointNames, topic: str, message: Any
) -> Parsed | None:
    table = table_of_message(message, source=topic)
    if set(table.columns) != set(COMMAND_COLUMNS):
        raise BagError(
            f"{topic} has columns {', '.join(table.columns)}; allowed are "
            f"{', '.join(COMMAND_COLUMNS)}",
            fix="Record the layout that docs/ros2.md describes.",
        )
    joint_map = joints.map_of(table.rows)
    if joint_map is None:
        return None
    position, kp, kd = (
        joint_map(table.values[:, table.columns.index(name)]) for name in COMMAND_COLUMNS
    )
    if not kp.any():
        return Parsed(position, Fault.DAMPING)
    wanted = np.concatenate([spec.kp_nm_per_rad, spec.kd_nms_per_rad])
    if not np.all(np.abs(np.concatenate([kp, kd]) - wanted) <= _GAIN_TOLERANCE):
        return Parsed(position, Fault.OTHER_GAINS)
    return _checked(position)


def _targets(
    joints: JointNames, topic: str, names: Sequence[str], positions: Any
) -> Parsed | None:
    joint_map = joints.map_of(names)
    if joint_map is None:
        return None
    if len(positions) != len(names):
        raise BagError(
            f"{topic} has {len(names)} joint names and {len(positions)} positions; allowed is one "
            "position a name",
            fix="Record position targets, or correct --command-joints.",
        )
    return _checked(joint_map(positions))


def _attitude(quaternion: Any, rate: Any) -> Parsed:
    wxyz = np.array([quaternion.w, quaternion.x, quaternion.y, quaternion.z])
    norm = float(np.linalg.norm(wxyz))
    if not abs(norm - 1.0) <= _QUATERNION_NORM_TOLERANCE:
        return Parsed(np.full(7, np.nan), Fault.NOT_FINITE)
    return _checked(np.concatenate([wxyz / norm, _vector(rate)]))


def _vector(vector: Any) -> FloatArray:
    return np.array([vector.x, vector.y, vector.z])


def _checked(values: FloatArray) -> Parsed:
    return Parsed(values, Fault.NONE if np.isfinite(values).all() else Fault.NOT_FINITE)


def _refuse_twist(topic: str, message: Any, frame: str) -> None:
    _refuse_frame(topic, "child_frame_id", message.child_frame_id, frame, "--base-frame")
    if message.twist.covariance[0] == _NOT_PROVIDED:
        raise BagError(
            f"{topic} says that it has no twist (covariance[0] is -1)",
            fix="Name the odometry of an estimator that has it.",
        )


def _refuse_frame(topic: str, field: str, found: str, wanted: str, option: str) -> None:
    if found.lstrip("/") != wanted.lstrip("/"):
        raise BagError(
            f"{topic} has {field} '{found}'; allowed is '{wanted}'",
            fix=f"Pass {option} '{found}' if this is the base frame, or one with its axes; else "
            "rotate the data before.",
        )
