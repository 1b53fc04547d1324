"""Run a policy bundle on a Unitree G1, or on its simulation behind the same messages.

ros2 launch rwmu_unitree g1.launch.py policy:=/path/to/bundle sim:=true autostart:=true
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

PACKAGE = "rwmu_unitree"
ARGUMENTS = {
    "policy": (None, "Folder of the policy bundle that rwmu-export wrote"),
    "expected_sha256": ("", "Refuse any other bundle; empty accepts any that verifies"),
    "sim": ("false", "Start a simulated robot too"),
    "dry_run": ("false", "Publish commands to /lowcmd/dry_run only"),
    "autostart": ("false", "Configure and activate without being asked"),
    "remote": ("stop", "stop: it must be heard, L2 and B stop; ignore: there is none"),
    "battery": ("watch", "watch: it must be heard and charged; ignore: there is none"),
    "velocity": ("cmd_vel", "Where velocity commands come from: cmd_vel, or remote, its sticks"),
    "monitor": ("auto", "World model on board: off, warn, act; auto: warn where there is one"),
    "log_dir": ("", "Folder for the transition log; empty: off"),
    "on_log_failure": ("ignore", "What a log that fails does: ignore (it is reported), hold"),
    "excitation": ("0.0", "Smooth noise on actions, for data that world models need; 0: none"),
    "record_bag": ("", "Folder that ros2 bag records the robot's topics to; empty: off"),
    "namespace": ("", "Namespace of the nodes and their topics"),
    "use_sim_time": ("false", "ROS time from /clock; the control loop never uses ROS time"),
}
RECORDED = ("odom", "cmd_vel", "policy_node/state")
"""Topics in the bag, below the namespace; those of the config file, which a remapping changes."""


def generate_launch_description() -> LaunchDescription:
    """The policy node, and with `sim` the simulated robot."""

    def flag(name: str) -> ParameterValue:
        return ParameterValue(LaunchConfiguration(name), value_type=bool)

    def text(name: str) -> ParameterValue:
        return ParameterValue(LaunchConfiguration(name), value_type=str)

    config = PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "g1.yaml"])
    is_simulated = PythonExpression(
        ["'", LaunchConfiguration("sim"), "'.lower() in ('true', '1')"]
    )
    log_source = PythonExpression(["'sim' if ", is_simulated, " else 'real'"])
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
                "remote": text("remote"),
                "battery": text("battery"),
                "velocity": text("velocity"),
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
        + ["/lowstate", "/lowcmd", "/diagnostics"],
        output="screen",
        condition=IfCondition(
            PythonExpression(["'", LaunchConfiguration("record_bag"), "' != ''"])
        ),
    )
    # A simulated robot is on this machine, the real one is another. Without a word our processes
    # hear this machine only.
    everywhere = PythonExpression(["'LOCALHOST' if ", is_simulated, " else 'SUBNET'"])
    discovery = SetEnvironmentVariable(
        "ROS_AUTOMATIC_DISCOVERY_RANGE",
        EnvironmentVariable("ROS_AUTOMATIC_DISCOVERY_RANGE", default_value=everywhere),
    )
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, discovery, bag, robot, policy])
