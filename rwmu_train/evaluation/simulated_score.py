"""How well a policy follows commands in the simulated robot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_deploy.simulation.robot_variant import NOMINAL, RobotVariant
from rwmu_train.environment.simulated_dynamics import SimulatedDynamics
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.task.reward_terms import TRACKING_VARIANCE
from rwmu_train.task.velocity_task import (
    EpisodeTiming,
    ObservationNoise,
    RewardShape,
    VelocityTask,
)

Policy = Callable[[Tensor], Tensor]
"""Observations (N, O) to actions (N, A)."""


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


@torch.no_grad()
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
    steps = round(seconds / spec.control_dt_s)
    timing = EpisodeTiming(episode_steps=steps + 1)
    if not pushes:
        timing = EpisodeTiming(episode_steps=steps + 1, push_steps=(steps + 1, steps + 1))
    settings = EnvSettings(
        timing,
        RewardShape(clip_at_zero=False, termination_penalty=0.0),
        ObservationNoise(scale=noise_scale),
    )
    with RobotBatch(spec, robots, seed=seed, threads=threads, variant=variant) as batch:
        dynamics = SimulatedDynamics(batch)
        env = VelocityEnv(spec, task, settings, dynamics, seed=seed)
        columns = env.columns
        walking = torch.ones(robots)
        linear, yaw, total, along, asked, alive = (torch.zeros(()) for _ in range(6))
        observation = env.get_observations()
        for _ in range(steps):
            command = env.command.clone()
            observation, reward, _, extras = env.step(policy(observation["policy"]))
            walking = walking * (~extras["outcome"].fell).float()
            truth = dynamics.true_state
            v = truth[:, columns.base_linear_velocity_mps.slice][:, :2]
            w = truth[:, columns.base_angular_velocity_radps.slice][:, 2]
            error = (v - command[:, :2]).square().sum(1)
            linear += (torch.exp(-error / TRACKING_VARIANCE) * walking).sum()
            yaw += (torch.exp(-(w - command[:, 2]).square() / TRACKING_VARIANCE) * walking).sum()
            total += (reward * walking).sum()
            along += ((v * command[:, :2]).sum(1) * walking).sum()
            asked += (command[:, :2].square().sum(1) * walking).sum()
            alive += walking.sum()
    steps_alive = alive.clamp(min=1.0)
    return SimulatedScore(
        robots=robots,
        seconds=seconds,
        linear_tracking=float(linear / steps_alive),
        yaw_tracking=float(yaw / steps_alive),
        fall_share=float(1.0 - walking.mean()),
        episode_return=float(total / robots),
        velocity_ratio=float(along / asked.clamp(min=1e-9)),
        variant=variant.name,
    )
