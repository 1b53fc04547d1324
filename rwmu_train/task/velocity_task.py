"""Velocity-tracking tasks by name: reward weights, commands, noise and episode lengths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rwmu_deploy.contract.named_choice import find_by_name

# RWM (arXiv:2501.10100), table S6, column ANYmal D.
_ANYMAL_D_REWARDS: Mapping[str, float] = {
    "linear_velocity_tracking": 1.0,
    "yaw_rate_tracking": 0.5,
    "vertical_velocity": -2.0,
    "roll_pitch_rate": -0.05,
    "joint_torque": -2.5e-5,
    "joint_acceleration": -2.5e-7,
    "action_rate": -0.01,
    "feet_air_time": 0.5,
    "undesired_contacts": -1.0,
    "flat_orientation": -5.0,
}


# The same table, column G1. Its joint deviation names no joints: here those that the robot.yaml
# holds near the default pose. Feet are rewarded for being high while they move, not for air time.
_G1_REWARDS: Mapping[str, float] = {
    **_ANYMAL_D_REWARDS,
    "action_rate": -0.05,
    "feet_air_time": 0.0,
    "foot_clearance": 1.0,
    "joint_deviation": -1.0,
}


@dataclass(frozen=True)
class VelocityTask:
    """One robot's velocity-tracking task."""

    name: str
    robot: str
    """Name of the RobotSpec."""
    reward_weights: Mapping[str, float]
    """Reward term -> weight; each is also multiplied by dt."""
    command_lower: tuple[float, float, float] = (-1.0, -1.0, -1.0)
    """Lowest vx [m/s], vy [m/s], wz [rad/s]."""
    command_upper: tuple[float, float, float] = (1.0, 1.0, 1.0)
    standing_share: float = 0.02
    """Share of commands that are zero."""
    push_velocity_mps: float = 0.5
    """Half width of a push's velocity in x and y."""
    exploration_std: float = 0.8
    """Standard deviation of a fresh policy's actions in online PPO. Rewards are clipped at 0:
    where noise alone costs more than standing earns, nothing is learned."""

    def what_is_asked(self) -> dict[str, Any]:
        """All but what helps exploration, as JSON values."""
        return {k: v for k, v in asdict(self).items() if not k.startswith("exploration_")}


TASKS: Mapping[str, VelocityTask] = {
    task.name: task
    for task in (
        VelocityTask("anymal_d_flat", "anymal_d", dict(_ANYMAL_D_REWARDS)),
        # Commands: unitree_rl_mjlab 5b7e396, whose policies run on the robot. Exploration: ours.
        # Under noise of 0.8, action rate and joint deviation cost 4 a second, more than can be
        # earned: 1 % of the steps have a reward above 0. Under 0.3, two thirds have, but of
        # robots that step as their gait does a third falls within 10 s; under 0.1, 13 %.
        VelocityTask(
            "g1_flat",
            "g1",
            dict(_G1_REWARDS),
            command_lower=(-0.5, -0.5, -1.0),
            command_upper=(1.0, 0.5, 1.0),
            exploration_std=0.2,
        ),
    )
}
DEFAULT_TASK = "anymal_d_flat"
"""What is meant where no task is named."""


def find_task(name: str) -> VelocityTask:
    """A task by name.

    Raises:
        ConfigError: There is no such task.
    """
    return find_by_name(TASKS, name, "task")


@dataclass(frozen=True)
class EpisodeTiming:
    """When episodes end and when commands and pushes come, in control steps."""

    episode_steps: int = 1000
    """Longest episode (20 s in the simulated robot)."""
    command_steps: tuple[int, int] = (500, 500)
    """Range of the time between new commands."""
    push_steps: tuple[int, int] = (500, 750)
    """Range of the time between pushes."""


@dataclass(frozen=True)
class RewardShape:
    """How the weighted terms become the number that PPO sees."""

    clip_at_zero: bool = True
    """Clip the sum of task terms at 0. Without it a fresh policy learns to fall early, because the
    sum starts negative and falling ends it."""
    termination_penalty: float = 1.0
    """Taken off when the robot falls."""
    uncertainty_weight: float = 0.0
    """lambda: reward - lambda * uncertainty * dt (MOPO-PPO, arXiv:2504.16680)."""
    tracking_factor: float = 1.0
    """Factor on the two tracking terms. With the published weights a robot that stands still earns
    about as much as one that walks roughly, so a policy that starts from rough walking learns to
    stand; 3 makes walking pay from the start."""


@dataclass(frozen=True)
class ObservationNoise:
    """Uniform noise on what the actor sees, in units of each term's published half width."""

    scale: float = 1.0
    extra: Mapping[str, float] = field(default_factory=dict)
    """Term name -> half width that replaces the published one."""
    unseen: tuple[str, ...] = ()
    """Terms that the actor does not see, such as a velocity that no sensor of the robot measures;
    the critic and the world model keep them."""
