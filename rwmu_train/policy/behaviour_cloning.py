"""Warm start: imitate logged behaviour."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from rsl_rl.models import MLPModel
from torch import Tensor

from rwmu_train.policy.demonstrations import CloningSettings, Demonstrations

ROWS_AT_ONCE = 65_536
OUTER_SHARE = 10
"""One in so many rows at either end."""


def clone_behaviour(
    actor: MLPModel,
    demonstrations: Demonstrations,
    view: Callable[[Tensor, torch.Generator], Tensor],
    settings: CloningSettings,
    *,
    seed: int,
    on_step: Callable[[int, float], None] | None = None,
) -> float:
    """Fit the actor's mean to the demonstrations, as the actor sees them in training.

    Returns:
        Root mean square error of the action over the last tenth of the steps.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(actor.mlp.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    last: list[float] = []
    weight = torch.ones(len(demonstrations.action), 1)
    for step in range(settings.steps):
        if settings.weight_by_error != 0.0 and step == settings.steps // 2:
            weight = weight_of_episodes(actor, demonstrations, settings.weight_by_error)
        index = torch.randint(
            len(demonstrations.action), (settings.batch_size,), generator=generator
        )
        seen = view(demonstrations.observation[index], generator)
        predicted = actor.mlp(actor.obs_normalizer(seen))
        error = (predicted - demonstrations.action[index]).square()
        loss = (weight[index] * error).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        if step >= 0.9 * settings.steps:
            last.append(float(error.detach().mean()))
        if on_step is not None:
            on_step(step + 1, float(error.detach().mean()))
    return float(np.sqrt(np.mean(last)))


@torch.no_grad()
def weight_of_episodes(actor: MLPModel, demonstrations: Demonstrations, power: float) -> Tensor:
    """How much each row counts, shape (n, 1), 1 in the mean; see `weight_by_error`.

    Errors are taken for no smaller and no larger than those within which all rows but the outer
    tenths lie. All rows count alike where their episodes are not known.
    """
    if demonstrations.episode is None:
        return torch.ones(len(demonstrations.action), 1)
    parts = zip(
        demonstrations.observation.split(ROWS_AT_ONCE),
        demonstrations.action.split(ROWS_AT_ONCE),
        strict=True,
    )
    error = torch.cat(
        [
            (actor.mlp(actor.obs_normalizer(seen)) - action).square().mean(1)
            for seen, action in parts
        ]
    )
    _, number = demonstrations.episode.unique(return_inverse=True)
    of_episode = torch.zeros(int(number.max()) + 1).index_add_(0, number, error)
    error = (of_episode / number.bincount())[number]
    tail = 1 + len(error) // OUTER_SHARE
    low, high = error.kthvalue(tail).values, error.kthvalue(len(error) + 1 - tail).values
    weight = error.clamp(low, high).pow(power)
    return (weight / weight.mean()).unsqueeze(1)
