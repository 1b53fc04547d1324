"""What a policy earns in imagination by the published reward, and how unsure the model is there.

Nothing is taken off for uncertainty, nothing is clipped, and only falls end an episode, so that
policies that were trained with different penalties can be compared, with each other and with
`score_in_simulation`, which counts the same reward.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.imagination.imagined_dynamics import ImaginationSettings, ImaginedDynamics
from rwmu_train.task.velocity_task import (
    EpisodeTiming,
    ObservationNoise,
    RewardShape,
    VelocityTask,
)
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.world_model.checkpoint import WorldModelFacts
from rwmu_train.world_model.ensemble import WorldModel

SEED = 40_001
"""Apart from those of training and of the choice among policies."""


@dataclass(frozen=True)
class ImaginedFigures:
    """Means over imagined robots until the first fall that the model predicts for each."""

    imagined_reward_per_s: float
    """Weighted reward terms summed until the fall, over the time asked for; so a robot that falls
    earns nothing afterwards."""
    uncertainty: float
    """Of a step: disagreement of the members in normalised units."""
    imagined_fall_share: float


@torch.no_grad()
def imagined_figures(
    policy: Callable[[Tensor], Tensor],
    dataset: TransitionDataset,
    model: WorldModel,
    facts: WorldModelFacts,
    task: VelocityTask,
    settings: ImaginationSettings,
    *,
    robots: int,
    steps: int,
) -> ImaginedFigures:
    """Let imagined robots walk under random commands, without noise and pushes.

    Args:
        policy: Observations (N, O) to actions (N, A).
        dataset: Where robots start.
        model: The world model.
        facts: Its normaliser and history.
        task: Gives commands and reward weights.
        settings: How the model is used; its unit and limit of the uncertainty don't count here.
        robots: N.
        steps: Control steps of each.
    """
    dynamics = ImaginedDynamics(
        model,
        dataset,
        facts.normaliser,
        facts.history,
        replace(
            settings,
            robots=robots,
            uncertainty_unit="absolute",
            end_above_uncertainty=math.inf,
        ),
        seed=SEED,
    )
    timing = EpisodeTiming(episode_steps=steps + 1, command_steps=(steps + 1, steps + 1))
    env = VelocityEnv(
        dataset.spec,
        replace(task, push_velocity_mps=0.0),
        EnvSettings(
            timing,
            RewardShape(clip_at_zero=False, termination_penalty=0.0),
            ObservationNoise(scale=0.0),
        ),
        dynamics,
        seed=SEED,
    )
    walking = torch.ones(robots)
    earned, unsure, alive = (torch.zeros(()) for _ in range(3))
    observation = env.get_observations()
    for _ in range(steps):
        observation, reward, _, extras = env.step(policy(observation["policy"]))
        earned += (reward * walking).sum()
        unsure += (extras["outcome"].uncertainty * walking).sum()
        alive += walking.sum()
        walking = walking * (~extras["outcome"].fell).float()
    seconds = steps * dataset.spec.control_dt_s
    return ImaginedFigures(
        imagined_reward_per_s=float(earned / robots) / seconds,
        uncertainty=float(unsure / alive),
        imagined_fall_share=float(1.0 - walking.mean()),
    )
