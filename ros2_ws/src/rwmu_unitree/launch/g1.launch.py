"""Run a policy bundle on a Unitree G1, or on its simulation behind the same messages.

ros2 launch rwmu_unitree g1.launch.py policy:=/path/to/bundle sim:=true autostart:=true
"""

from __future__ import annotations

from launch import LaunchDescription
from rwmu_ros.policy_launch import RobotLaunch, describe

ARGUMENTS = {
    "remote": ("stop", "stop: it must be heard, L2 and B stop; ignore: there is none"),
    "battery": ("watch", "watch: it must be heard and charged; ignore: there is none"),
    "velocity": ("cmd_vel", "Where velocity commands come from: cmd_vel, or remote, its sticks"),
}
ROBOT = RobotLaunch(
    package="rwmu_unitree",
    config="g1.yaml",
    recorded=("odom", "cmd_vel", "policy_node/state"),
    recorded_everywhere=("/lowstate", "/lowcmd"),
    # The robot is another machine.
    discovery="SUBNET",
    arguments=ARGUMENTS,
)


def generate_launch_description() -> LaunchDescription:
    """The policy node, and with `sim` the simulated robot."""
    return describe(ROBOT)
