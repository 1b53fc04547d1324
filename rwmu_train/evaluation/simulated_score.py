"""How well a policy follows commands in the simulated robot."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.simulation.robot_variant import NOMINAL, RobotVariant
from rwmu_train.evaluation.policy.policy_score import score_episodes
from rwmu_train.evaluation.policy.simulated_episodes import (
    EpisodeSettings,
    Policy,
    simulate_episodes,
)
from rwmu_train.task.velocity_task import VelocityTask


@dataclass(frozen=True)
class SimulatedScore:
    """Means over robots and steps until each robot's first fall."""

    robots: int
    seconds: float
    linear_tracking: float
    """Mean of exp(-|v_xy - command|^2 / 0.25); 1 is perfect."""
    yaw_tracking: float
    """Mean of exp(-(w_z - command)^2 / 0.25)."""
    fall_share: float
    """Share of robots that fell."""
    episode_return: float
    """Weighted reward terms summed over the time until the fall, unclipped."""
    velocity_ratio: float
    """Achieved velocity along the command over the commanded one; tracking alone flatters a robot
    that stands still."""
    variant: str = NOMINAL.name
    """Which simulated robot."""

    def to_dict(self) -> dict[str, float | str]:
        return asdict(self)


def score_in_simulation(
    policy: Policy,
    spec: RobotSpec,
    task: VelocityTask,
    *,
    robots: int = 100,
    seconds: float = 20.0,
    seed: int = 0,
    noise_scale: float = 0.0,
    pushes: bool = False,
    threads: int | None = None,
    variant: RobotVariant = NOMINAL,
) -> SimulatedScore:
    """Let robots walk under random commands, new ones every 10 s.

    Tracking counts true velocities, whatever the variant's sensors say; the reward counts what
    they say.

    Args:
        policy: Observations (N, O) to actions (N, A).
        spec: The robot.
        task: Gives commands and reward weights.
        robots: How many.
        seconds: How long.
        seed: Seed of initial states and commands.
        noise_scale: Observation noise as a factor of the published one.
        pushes: Whether robots are pushed as in training.
        threads: Rollout threads; all processors when None.
        variant: How the robots differ from their model file.
    """
    settings = EpisodeSettings(robots, seconds, seed, noise_scale, pushes)
    score = score_episodes(
        simulate_episodes(policy, spec, task, settings, threads=threads, variant=variant)
    )
    return SimulatedScore(
        robots=robots,
        seconds=seconds,
        linear_tracking=score.following.linear_tracking,
        yaw_tracking=score.following.yaw_tracking,
        fall_share=score.fall_share,
        episode_return=score.episode_return,
        velocity_ratio=score.following.velocity_ratio or 0.0,
        variant=variant.name,
    )
