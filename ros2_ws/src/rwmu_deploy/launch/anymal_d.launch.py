"""Run a policy bundle on ANYmal D, or on its simulation.

ros2 launch rwmu_deploy anymal_d.launch.py policy:=/path/to/bundle sim:=true autostart:=true
"""

from __future__ import annotations

from launch import LaunchDescription
from rwmu_ros.policy_launch import RobotLaunch, describe

ROBOT = RobotLaunch(
    package="rwmu_deploy",
    config="anymal_d.yaml",
    recorded=(
        "joint_states",
        "imu",
        "odom",
        "contacts",
        "cmd_vel",
        "joint_command",
        "joint_command/dry_run",
        "policy_node/state",
    ),
)


def generate_launch_description() -> LaunchDescription:
    """The policy node, and with `sim` the simulated robot."""
    return describe(ROBOT)
