"""What the launch files of all robots have in common: policy node, simulated robot, bag.

A launch file names what is its robot's own in a `RobotLaunch`, and returns `describe` of it. Only
launch files import this: `launch` comes with a ROS 2 installation, not from pip.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import (
    EnvironmentVariable,
    LaunchConfiguration,
    PathJoinSubstitution,
    PythonExpression,
)
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

ARGUMENTS = {
    "policy": (None, "Folder of the policy bundle that rwmu-export wrote"),
    "expected_sha256": ("", "Refuse any other bundle; empty accepts any that verifies"),
    "sim": ("false", "Start a simulated robot too"),
    "dry_run": ("false", "Publish commands to the command topic's /dry_run only"),
    "autostart": ("false", "Configure and activate without being asked"),
    "monitor": ("auto", "World model on board: off, warn, act; auto: warn where there is one"),
    "log_dir": ("", "Folder for the transition log; empty: off"),
    "on_log_failure": ("ignore", "What a log that fails does: ignore (it is reported), hold"),
    "excitation": ("0.0", "Smooth noise on actions, for data that world models need; 0: none"),
    "record_bag": ("", "Folder that ros2 bag records the robot's topics to; empty: off"),
    "namespace": ("", "Namespace of the nodes and their topics"),
    "use_sim_time": ("false", "ROS time from /clock; the control loop never uses ROS time"),
}
"""Of every robot: default and description."""


@dataclass(frozen=True)
class RobotLaunch:
    """What is one robot's own."""

    package: str
    """Of its nodes and its config file."""
    config: str
    """Name of that file."""
    recorded: tuple[str, ...]
    """Topics in the bag, below the namespace; those of the config file."""
    recorded_everywhere: tuple[str, ...] = ()
    """Topics in the bag that no namespace changes."""
    discovery: str = "LOCALHOST"
    """How far nodes look for others, where the environment does not say and the robot is real."""
    arguments: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Its own, with default and description; each sets a parameter of that name, a text."""


def typed(name: str, kind: type) -> Any:
    """The value of a launch argument, of a type."""
    return ParameterValue(LaunchConfiguration(name), value_type=kind)


def declared(arguments: Mapping[str, tuple[str | None, str]]) -> list[Any]:
    """Arguments with default and description; None: it must be given."""
    return [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in arguments.items()
    ]


def describe(robot: RobotLaunch) -> LaunchDescription:
    """The policy node, and with `sim` the simulated robot."""
    config = PathJoinSubstitution([FindPackageShare(robot.package), "config", robot.config])
    is_simulated = ["'", LaunchConfiguration("sim"), "'.lower() in ('true', '1')"]
    log_source = PythonExpression(["'sim' if ", *is_simulated, " else 'real'"])
    discovery = PythonExpression(
        ["'LOCALHOST' if ", *is_simulated, f" else '{robot.discovery}'"],
    )
    policy = Node(
        package=robot.package,
        executable="policy_node",
        name="policy_node",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[
            config,
            {
                "bundle": typed("policy", str),
                "expected_sha256": typed("expected_sha256", str),
                "dry_run": typed("dry_run", bool),
                "autostart": typed("autostart", bool),
                "monitor": typed("monitor", str),
                "log_dir": typed("log_dir", str),
                "on_log_failure": typed("on_log_failure", str),
                "excitation": typed("excitation", float),
                "log_source": ParameterValue(log_source, value_type=str),
                "use_sim_time": typed("use_sim_time", bool),
            },
            {name: typed(name, str) for name in robot.arguments},
        ],
    )
    simulated = Node(
        package=robot.package,
        executable="simulated_robot_node",
        name="simulated_robot",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[config],
        condition=IfCondition(LaunchConfiguration("sim")),
    )
    bag = ExecuteProcess(
        cmd=["ros2", "bag", "record", "-o", LaunchConfiguration("record_bag")]
        + [[LaunchConfiguration("namespace"), f"/{topic}"] for topic in robot.recorded]
        + [*robot.recorded_everywhere, "/diagnostics"],
        output="screen",
        condition=IfCondition(
            PythonExpression(["'", LaunchConfiguration("record_bag"), "' != ''"])
        ),
    )
    heard = SetEnvironmentVariable(
        "ROS_AUTOMATIC_DISCOVERY_RANGE",
        EnvironmentVariable("ROS_AUTOMATIC_DISCOVERY_RANGE", default_value=discovery),
    )
    return LaunchDescription(
        [*declared({**ARGUMENTS, **robot.arguments}), heard, bag, simulated, policy]
    )
