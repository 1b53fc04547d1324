"""ROS messages to measurements and commands in RobotSpec joint order, and back.

A message that is not exactly what is expected is refused with a `RobotLinkError`; nothing is
guessed, filled in or reordered by position. J = joints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.joint_map import JointMap
from rwmu_deploy.contract.labelled_table import (
    COMMAND_COLUMNS,
    contact_of_table,
    table_of_message,
)
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import JointCommand, gravity_in_base
from rwmu_ros.labelled_table import table_message

FloatArray = NDArray[np.float64]

_NOT_PROVIDED = -1.0
_QUATERNION_NORM_TOLERANCE = 0.02


@dataclass(frozen=True)
class JointReading:
    """Joint measurements, RobotSpec order, each shape (J,)."""

    position_rad: FloatArray
    velocity_radps: FloatArray
    torque_nm: FloatArray


@dataclass(frozen=True)
class ImuReading:
    """What the IMU says about the base, each shape (3,), base frame."""

    projected_gravity: FloatArray
    angular_velocity_radps: FloatArray


def joint_reading(message: JointState, joint_map: JointMap) -> JointReading:
    """Joint measurements of a message whose `name` the map was built from.

    Raises:
        RobotLinkError: Position, velocity or effort is not one finite number a name. Effort is
            needed too: it is part of the state that the data hold.
    """
    for field in ("position", "velocity", "effort"):
        if len(getattr(message, field)) != len(message.name):
            raise RobotLinkError(
                f"joint states have {len(message.name)} names and {len(getattr(message, field))} "
                f"{field} values",
                fix="Publish position, velocity and effort of every joint.",
            )
    reading = JointReading(
        joint_map(message.position), joint_map(message.velocity), joint_map(message.effort)
    )
    _refuse_non_finite("joint states", *vars(reading).values())
    return reading


def imu_reading(message: Imu, base_frame: str) -> ImuReading:
    """Gravity and angular velocity in the base frame.

    Raises:
        RobotLinkError: Another frame than the base's, a part marked as not provided
            (covariance[0] = -1, REP 145), or an orientation that is no unit quaternion.
    """
    _refuse_frame("imu frame_id", message.header.frame_id, base_frame)
    for field in ("orientation", "angular_velocity"):
        if getattr(message, f"{field}_covariance")[0] == _NOT_PROVIDED:
            raise RobotLinkError(
                f"imu says that it has no {field} (covariance[0] is -1)",
                fix="Use an IMU or estimator that provides it.",
            )
    q = message.orientation
    # ROS writes x, y, z, w; rwmu_deploy reads w, x, y, z.
    quaternion_wxyz = np.array([q.w, q.x, q.y, q.z])
    norm = float(np.linalg.norm(quaternion_wxyz))
    if not abs(norm - 1.0) <= _QUATERNION_NORM_TOLERANCE:
        raise RobotLinkError(
            f"imu orientation has norm {norm:.3g}, not 1", fix="Publish a unit quaternion."
        )
    rate = message.angular_velocity
    angular_velocity_radps = np.array([rate.x, rate.y, rate.z])
    _refuse_non_finite("imu", angular_velocity_radps)
    return ImuReading(gravity_in_base(quaternion_wxyz / norm), angular_velocity_radps)


def base_origin_velocity(message: Odometry, base_frame: str) -> FloatArray:
    """Linear velocity of the base frame's origin [m/s], base frame, shape (3,).

    Raises:
        RobotLinkError: The twist is not in the base frame, is marked as not provided, or is not
            finite.
    """
    _refuse_frame("odometry child_frame_id", message.child_frame_id, base_frame)
    if message.twist.covariance[0] == _NOT_PROVIDED:
        raise RobotLinkError(
            "odometry says that it has no twist (covariance[0] is -1)",
            fix="Use an estimator that provides it.",
        )
    linear = message.twist.twist.linear
    velocity_mps = np.array([linear.x, linear.y, linear.z])
    _refuse_non_finite("odometry", velocity_mps)
    return velocity_mps


def velocity_at_com(
    spec: RobotSpec, origin_velocity_mps: FloatArray, angular_velocity_radps: FloatArray
) -> FloatArray:
    """Velocity of the base's centre of mass, which the policy was trained with, shape (3,)."""
    return origin_velocity_mps + _com_lever(spec, angular_velocity_radps)


def velocity_at_origin(
    spec: RobotSpec, com_velocity_mps: FloatArray, angular_velocity_radps: FloatArray
) -> FloatArray:
    """Velocity of the base frame's origin, which odometry reports, shape (3,)."""
    return com_velocity_mps - _com_lever(spec, angular_velocity_radps)


def contact_reading(message: Float64MultiArray, contact_names: Sequence[str]) -> FloatArray:
    """Contacts in the order of `contact_names`, 0 or 1; those not in the message are 0.

    A real robot senses its feet, and no other bodies.

    Raises:
        RobotLinkError: Not a labelled table with the column `contact`, no name in common, or a
            value other than 0 and 1.
    """
    return contact_of_table(table_of_message(message, source="contacts"), contact_names)


def velocity_command(message: Twist) -> FloatArray:
    """A velocity command: vx [m/s], vy [m/s], wz [rad/s] in the base frame, shape (3,).

    Raises:
        RobotLinkError: A value is not finite.
    """
    command = np.array([message.linear.x, message.linear.y, message.angular.z])
    _refuse_non_finite("velocity command", command)
    return command


def twist_message(command: Sequence[float]) -> Twist:
    """The message of vx [m/s], vy [m/s], wz [rad/s]."""
    message = Twist()
    message.linear.x, message.linear.y, message.angular.z = (float(value) for value in command)
    return message


def command_message(spec: RobotSpec, command: JointCommand) -> Float64MultiArray:
    """Position, kp and kd of every joint, by name."""
    values = np.stack(
        [command.position_rad, command.kp_nm_per_rad, command.kd_nms_per_rad], axis=1
    )
    return table_message(spec.joint_names, COMMAND_COLUMNS, values)


def command_of_message(message: Float64MultiArray, spec: RobotSpec) -> JointCommand:
    """The command in RobotSpec order, whatever the order of joints and columns in the message.

    Raises:
        RobotLinkError: Not a labelled table with exactly the command's columns and this robot's
            joints, not finite, or a gain below 0.
    """
    table = table_of_message(message, source="joint command")
    _refuse_other_names("columns", table.columns, COMMAND_COLUMNS)
    _refuse_other_names("joints", table.rows, spec.joint_names)
    _refuse_non_finite("joint command", table.values)
    row = {name: index for index, name in enumerate(table.rows)}
    in_order = table.values[[row[name] for name in spec.joint_names]]
    position_rad, kp, kd = (in_order[:, table.columns.index(name)] for name in COMMAND_COLUMNS)
    if not (kp.min() >= 0.0 and kd.min() >= 0.0):
        raise RobotLinkError(
            f"joint command has kp down to {kp.min()} and kd down to {kd.min()}; allowed is 0 up",
            fix="Correct the gains of the sender.",
        )
    return JointCommand(position_rad, kp, kd)


def stamp_ns(message: JointState | Imu | Odometry) -> int:
    """The header's stamp in nanoseconds."""
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


def _com_lever(spec: RobotSpec, angular_velocity_radps: FloatArray) -> FloatArray:
    return np.cross(angular_velocity_radps, spec.simulation.base_com_in_base_m)


def _refuse_frame(what: str, frame: str, base_frame: str) -> None:
    if frame != base_frame:
        raise RobotLinkError(
            f"{what} is '{frame}'; allowed is '{base_frame}'",
            fix="Publish in the base frame, or set the parameter base_frame to its name.",
        )


def _refuse_other_names(what: str, names: Sequence[str], expected: Sequence[str]) -> None:
    if set(names) != set(expected):
        raise RobotLinkError(
            f"joint command has {what} {', '.join(names)}, not {', '.join(expected)}",
            fix="Publish the layout that docs/ros2.md describes.",
        )


def _refuse_non_finite(what: str, *arrays: FloatArray) -> None:
    for array in arrays:
        if not all(map(math.isfinite, array.ravel().tolist())):
            raise RobotLinkError(f"{what} holds {array.tolist()}", fix="Publish finite numbers.")
