"""Run a policy bundle on ANYmal D, or on its simulation.

ros2 launch rwmu_deploy anymal_d.launch.py policy:=/path/to/bundle sim:=true autostart:=true
"""

from __future__ import annotations

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

PACKAGE = "rwmu_deploy"
ARGUMENTS = {
    "policy": (None, "Folder of the policy bundle that rwmu-export wrote"),
    "expected_sha256": ("", "Refuse any other bundle; empty accepts any that verifies"),
    "sim": ("false", "Start a simulated robot too"),
    "dry_run": ("false", "Publish commands to joint_command/dry_run only"),
    "autostart": ("false", "Configure and activate without being asked"),
    "monitor": ("auto", "World model on board: off, warn, act; auto: warn where there is one"),
    "log_dir": ("", "Folder for the transition log; empty: off"),
    "on_log_failure": ("ignore", "What a log that fails does: ignore (it is reported), hold"),
    "excitation": ("0.0", "Smooth noise on actions, for data that world models need; 0: none"),
    "record_bag": ("", "Folder that ros2 bag records the robot's topics to; empty: off"),
    "namespace": ("", "Namespace of the nodes and their topics"),
    "use_sim_time": ("false", "ROS time from /clock; the control loop never uses ROS time"),
}
RECORDED = (
    "joint_states",
    "imu",
    "odom",
    "contacts",
    "cmd_vel",
    "joint_command",
    "joint_command/dry_run",
    "policy_node/state",
)
"""Topics in the bag, below the namespace; those of the config file, which a remapping changes."""


def generate_launch_description() -> LaunchDescription:
    """The policy node, and with `sim` the simulated robot."""

    def flag(name: str) -> ParameterValue:
        return ParameterValue(LaunchConfiguration(name), value_type=bool)

    def text(name: str) -> ParameterValue:
        return ParameterValue(LaunchConfiguration(name), value_type=str)

    config = PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "anymal_d.yaml"])
    log_source = PythonExpression(
        ["'sim' if '", LaunchConfiguration("sim"), "'.lower() in ('true', '1') else 'real'"]
    )
    policy = Node(
        package=PACKAGE,
        executable="policy_node",
        name="policy_node",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[
            config,
            {
                "bundle": text("policy"),
                "expected_sha256": text("expected_sha256"),
                "dry_run": flag("dry_run"),
                "autostart": flag("autostart"),
                "monitor": text("monitor"),
                "log_dir": text("log_dir"),
                "on_log_failure": text("on_log_failure"),
                "excitation": ParameterValue(LaunchConfiguration("excitation"), value_type=float),
                "log_source": ParameterValue(log_source, value_type=str),
                "use_sim_time": flag("use_sim_time"),
            },
        ],
    )
    robot = Node(
        package=PACKAGE,
        executable="simulated_robot_node",
        name="simulated_robot",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[config],
        condition=IfCondition(LaunchConfiguration("sim")),
    )
    bag = ExecuteProcess(
        cmd=["ros2", "bag", "record", "-o", LaunchConfiguration("record_bag")]
        + [[LaunchConfiguration("namespace"), f"/{topic}"] for topic in RECORDED]
        + ["/diagnostics"],
        output="screen",
        condition=IfCondition(
            PythonExpression(["'", LaunchConfiguration("record_bag"), "' != ''"])
        ),
    )
    only_this_machine = SetEnvironmentVariable(
        "ROS_AUTOMATIC_DISCOVERY_RANGE",
        EnvironmentVariable("ROS_AUTOMATIC_DISCOVERY_RANGE", default_value="LOCALHOST"),
    )
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, only_this_machine, bag, robot, policy])
