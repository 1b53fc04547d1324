"""Parameters of the policy node: declared with description and range, read once, at configure."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, fields
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import default_robot
from rwmu_deploy.patrol.excitation import LARGEST_LEVEL
from rwmu_ros.realtime_priority import HIGHEST


@dataclass(frozen=True)
class PolicyNodeParameters:
    """What an operator can set. Topics may be relative; remapping works on top."""

    bundle: str
    """Folder of the policy bundle."""
    expected_sha256: str
    """Refuse any other bundle; empty accepts any that verifies."""
    robot: str
    """Robot name or path of a robot.yaml that the bundle must match."""
    dry_run: bool
    """Compute and log everything, but publish commands to `<command_topic>/dry_run` only."""
    stand_up_s: float
    """Duration of the ramp from the measured pose to the default pose."""
    monitor: str
    """What the world model on board does: "off", "warn", "act", or "auto", which is to warn where
    the bundle has one."""
    base_frame: str
    """Frame of the IMU's data and of the odometry's twist."""
    joint_states_topic: str
    imu_topic: str
    odom_topic: str
    """Empty: the base's velocity is estimated from joints, gyroscope and standing feet."""
    contacts_topic: str
    """Empty: contacts of the feet are estimated from joint torques."""
    cmd_vel_topic: str
    command_topic: str
    position_command_topic: str
    """Positions alone, for a forward_command_controller; empty: off."""
    position_command_joints: tuple[str, ...]
    """That controller's `joints`, in its order."""
    log_dir: str
    """Folder for the transition log; empty: off."""
    flight_dir: str
    """Folder for recordings of faults; empty: flights in log_dir, where that is set."""
    log_source: str
    """What the log says that it was recorded on: "real" or "sim"."""
    on_log_failure: str
    """What a log that fails does to the robot: "ignore" (it is reported), or "hold"."""
    excitation: float
    """Level of smooth noise on the policy's actions, in units of the action; 0: none."""
    realtime_priority: int
    """SCHED_FIFO priority of all threads; 0: leave it to the system."""
    lock_memory: bool
    """Keep all memory of this process in place."""
    autostart: bool
    """Configure and activate without being asked."""
    autostart_timeout_s: float
    """Give up when sensors have not come for this long."""
    run_seconds: float
    """End this long after activation; 0: run until stopped."""
    summary_file: str
    """JSON with the run's numbers, written at the end; empty: off."""

    def __post_init__(self) -> None:
        """Refuse what the ranges can't express."""
        for name in ("joint_states_topic", "imu_topic", "cmd_vel_topic"):
            if not getattr(self, name):
                raise ConfigError(f"parameter {name} is empty", fix="Name the topic.")
        if not self.command_topic:
            raise ConfigError("parameter command_topic is empty", fix="Name the topic.")
        if not self.bundle:
            raise ConfigError(
                "parameter bundle is empty", fix="Give the folder that rwmu-export wrote."
            )
        if self.log_source not in ("real", "sim"):
            raise ConfigError(
                f"parameter log_source is '{self.log_source}'; allowed are 'real' and 'sim'",
                fix="Say what the log is recorded on.",
            )
        if self.on_log_failure not in ("ignore", "hold"):
            raise ConfigError(
                f"parameter on_log_failure is '{self.on_log_failure}'; allowed are 'ignore' and "
                "'hold'",
                fix="Say what a log that fails does to the robot.",
            )
        if self.position_command_topic and not self.position_command_joints:
            raise ConfigError(
                "position_command_topic is set and position_command_joints is not",
                fix="Copy the list `joints` of the forward_command_controller.",
            )
        # Ranges are checked by rclpy, but NaN passes a comparison with both ends.
        for name in ("stand_up_s", "autostart_timeout_s", "run_seconds", "excitation"):
            if not math.isfinite(getattr(self, name)):
                raise ConfigError(f"parameter {name} is not finite", fix="Give a number.")


@dataclass(frozen=True)
class _Declaration:
    default: Any
    description: str
    range: tuple[float, float] | None = None


_DECLARATIONS = {
    "bundle": _Declaration("", "Folder of the policy bundle that rwmu-export wrote"),
    "expected_sha256": _Declaration(
        "", "Refuse any other bundle; empty accepts any that verifies"
    ),
    "robot": _Declaration(default_robot(), "Robot name or robot.yaml that the bundle must match"),
    "dry_run": _Declaration(False, "Publish commands to <command_topic>/dry_run only"),
    "stand_up_s": _Declaration(2.0, "Ramp from measured to default pose [s]", (0.5, 20.0)),
    "monitor": _Declaration(
        "auto", "World model on board: off, warn, act; auto: warn where the bundle has one"
    ),
    "base_frame": _Declaration("base", "Frame of the IMU's data and of the odometry's twist"),
    "joint_states_topic": _Declaration("joint_states", "sensor_msgs/JointState"),
    "imu_topic": _Declaration("imu", "sensor_msgs/Imu in the base frame"),
    "odom_topic": _Declaration(
        "odom", "nav_msgs/Odometry with its twist in the base frame; empty: estimated from legs"
    ),
    "contacts_topic": _Declaration(
        "contacts", "Labelled table; empty: estimated from joint torques"
    ),
    "cmd_vel_topic": _Declaration("cmd_vel", "geometry_msgs/Twist in the base frame"),
    "command_topic": _Declaration("joint_command", "Labelled table of position, kp and kd"),
    "position_command_topic": _Declaration("", "Positions alone, without damping; empty: off"),
    "position_command_joints": _Declaration(
        Parameter.Type.STRING_ARRAY, "`joints` of the forward_command_controller, in its order"
    ),
    "log_dir": _Declaration("", "Folder for the transition log; empty: off"),
    "flight_dir": _Declaration("", "Folder for recordings of faults; empty: log_dir/flights"),
    "log_source": _Declaration("real", "What the log is recorded on: real or sim"),
    "on_log_failure": _Declaration(
        "ignore", "What a log that fails does: ignore (it is reported), hold"
    ),
    "excitation": _Declaration(
        0.0, "Smooth noise on actions, for data that world models need", (0.0, LARGEST_LEVEL)
    ),
    "realtime_priority": _Declaration(
        0, "SCHED_FIFO priority of all threads; 0: leave it to the system", (0, HIGHEST)
    ),
    "lock_memory": _Declaration(False, "Keep all memory of this process in place"),
    "autostart": _Declaration(False, "Configure and activate without being asked"),
    "autostart_timeout_s": _Declaration(10.0, "Give up without sensors [s]", (0.5, 600.0)),
    "run_seconds": _Declaration(
        0.0, "End this long after activation [s]; 0: until stopped", (0.0, 86400.0)
    ),
    "summary_file": _Declaration("", "JSON with the run's numbers, written at the end"),
}


def declare_parameters(node: Node) -> None:
    """Declare all parameters on a node.

    Raises:
        rclpy.exceptions.InvalidParameterValueException: An override is outside its range.
    """
    for name, declaration in _DECLARATIONS.items():
        descriptor = ParameterDescriptor(description=declaration.description)
        if declaration.range:
            low, high = declaration.range
            if isinstance(declaration.default, int):
                whole = IntegerRange(from_value=int(low), to_value=int(high), step=1)
                descriptor.integer_range = [whole]
            else:
                real = FloatingPointRange(from_value=low, to_value=high, step=0.0)
                descriptor.floating_point_range = [real]
        node.declare_parameter(name, declaration.default, descriptor)


def read_parameters(node: Node) -> PolicyNodeParameters:
    """Their values as they are now.

    Raises:
        ConfigError: A value is refused, or a parameter was given that the node does not have.
    """
    _refuse_unknown(node)
    values: dict[str, Any] = {}
    for field in fields(PolicyNodeParameters):
        if field.name == "position_command_joints":
            unset = Parameter(field.name, Parameter.Type.STRING_ARRAY, [])
            values[field.name] = tuple(node.get_parameter_or(field.name, unset).value or ())
        else:
            values[field.name] = node.get_parameter(field.name).value
    return PolicyNodeParameters(**values)


def _refuse_unknown(node: Node) -> None:
    """Names that rclpy was given and would forget without a word."""
    unknown = [
        name
        for name in node._parameter_overrides
        if not node.has_parameter(name) and not name.startswith("qos_overrides.")
    ]
    if unknown:
        near = {
            name: difflib.get_close_matches(name, _DECLARATIONS, n=1, cutoff=0.5)
            for name in unknown
        }
        guesses = [f"'{found[0]}' for '{name}'" for name, found in near.items() if found]
        raise ConfigError(
            f"unknown parameter {', '.join(unknown)}; allowed are {', '.join(_DECLARATIONS)}",
            fix=f"Did you mean {', '.join(guesses)}?" if guesses else "Leave it out.",
        )
