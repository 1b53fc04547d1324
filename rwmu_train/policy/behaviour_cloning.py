"""Warm start: imitate behaviour.

Fitted are weights of whitened inputs, mean 0 and standard deviation 1 over the demonstrations, and
folded into the first layer again: of 4 (joint velocities, rad/s) and of 0.05 (gravity) Adam would
learn the small ones last.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from rsl_rl.models import MLPModel
from torch import Tensor, nn

from rwmu_train.policy.demonstrations import CloningSettings, Demonstrations

_LEAST_STD = 1.0e-3


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
    whitening = _Whitening(actor, view(demonstrations.observation, generator))
    whitening.unfold()
    optimiser = torch.optim.Adam(actor.mlp.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    last: list[float] = []
    for step in range(settings.steps):
        index = torch.randint(
            len(demonstrations.action), (settings.batch_size,), generator=generator
        )
        seen = view(demonstrations.observation[index], generator)
        predicted = actor.mlp(whitening(actor.obs_normalizer(seen)))
        loss = (predicted - demonstrations.action[index]).square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        if step >= 0.9 * settings.steps:
            last.append(float(loss.detach()))
        if on_step is not None:
            on_step(step + 1, float(loss.detach()))
    whitening.fold()
    return float(np.sqrt(np.mean(last)))


class _Whitening:
    """Mean and standard deviation of what an actor sees, in and out of its first layer."""

    def __init__(self, actor: MLPModel, seen: Tensor) -> None:
        first = actor.mlp[0]
        assert isinstance(first, nn.Linear)
        self._first = first
        inputs = actor.obs_normalizer(seen)
        self._mean, std = inputs.mean(0), inputs.std(0)
        # What the actor does not see, or what never changes, stays as it is.
        self._std = torch.where(std > _LEAST_STD, std, 1.0)

    def __call__(self, inputs: Tensor) -> Tensor:
        return (inputs - self._mean) / self._std

    @torch.no_grad()
    def unfold(self) -> None:
        """From here on the first layer takes whitened inputs."""
        self._first.bias += self._first.weight @ self._mean
        self._first.weight *= self._std

    @torch.no_grad()
    def fold(self) -> None:
        """From here on it takes them as they are."""
        self._first.weight /= self._std
        self._first.bias -= self._first.weight @ self._mean
