"""Warm start: imitate logged behaviour."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from rsl_rl.models import MLPModel
from torch import Tensor

from rwmu_train.policy.demonstrations import CloningSettings, Demonstrations


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
    for step in range(settings.steps):
        index = torch.randint(
            len(demonstrations.action), (settings.batch_size,), generator=generator
        )
        seen = view(demonstrations.observation[index], generator)
        predicted = actor.mlp(actor.obs_normalizer(seen))
        loss = (predicted - demonstrations.action[index]).square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        if step >= 0.9 * settings.steps:
            last.append(float(loss.detach()))
        if on_step is not None:
            on_step(step + 1, float(loss.detach()))
    return float(np.sqrt(np.mean(last)))
