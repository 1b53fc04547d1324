"""Let a robot walk by itself inside a fence, and log what it does.

ros2 launch rwmu_deploy collect.launch.py robot:=ROBOT policy:=BUNDLE session:=FOLDER hours:=1.0
"""

from __future__ import annotations

from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare
from rwmu_ros.policy_launch import declared, typed

from rwmu_deploy.contract.robot_spec import default_robot

PACKAGE = "rwmu_deploy"
ARGUMENTS = {
    "robot": (default_robot(), "Whose launch file is included"),
    "robot_package": (PACKAGE, "ROS package that it is in"),
    "policy": (None, "Folder of the policy bundle that rwmu-export wrote"),
    "session": (None, "Folder of the session; it goes on if it was begun"),
    "hours": ("0.0", "Time to walk; 0: the plan's"),
    "plan": ("", "YAML file of area, commands and limits; empty: the plan by default"),
    "excitation": ("0.0", "Smooth noise on actions, for data that world models need; 0: none"),
    "origin_when_armed": ("false", "Set the origin whenever the policy begins, not by service"),
    "sim": ("false", "Start a simulated robot too"),
    "autostart": ("false", "Configure and activate without being asked"),
    "monitor": ("auto", "World model on board: off, warn, act; auto: warn where there is one"),
    "record_bag": ("", "Folder that ros2 bag records the robot's topics to; empty: off"),
    "namespace": ("", "Namespace of the nodes and their topics"),
    "use_sim_time": ("false", "ROS time from /clock; the control loop never uses ROS time"),
}
PASSED_ON = ("policy", "excitation", "sim", "autostart", "monitor", "record_bag", "namespace")


def generate_launch_description() -> LaunchDescription:
    """The robot's launch file, its log in the session, and the node that walks it."""
    folder = PathJoinSubstitution(
        [FindPackageShare(LaunchConfiguration("robot_package")), "launch"]
    )
    robot_launch = [folder, "/", LaunchConfiguration("robot"), ".launch.py"]
    robot = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(robot_launch),
        launch_arguments={
            **{name: LaunchConfiguration(name) for name in (*PASSED_ON, "use_sim_time")},
            "log_dir": PathJoinSubstitution([LaunchConfiguration("session"), "data"]),
            # No motion without its data: that is what the robot walks for.
            "on_log_failure": "hold",
        }.items(),
    )
    collect = Node(
        package=PACKAGE,
        executable="collect_node",
        name="collect_node",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[
            {
                "bundle": typed("policy", str),
                "session": typed("session", str),
                "plan": typed("plan", str),
                "hours": typed("hours", float),
                "excitation": typed("excitation", float),
                "origin_when_armed": typed("origin_when_armed", bool),
                "use_sim_time": typed("use_sim_time", bool),
            }
        ],
    )
    return LaunchDescription([*declared(ARGUMENTS), robot, collect])
