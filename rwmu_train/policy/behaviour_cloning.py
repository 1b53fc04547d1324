"""Warm start: imitate behaviour.

A fresh actor is fitted to whitened inputs, of mean 0 and standard deviation 1 over the
demonstrations; at the end they are folded into its first layer. Next to joint velocities of
3 rad/s, Adam would learn last what a gravity of 0.05 says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from rsl_rl.models import MLPModel
from torch import Tensor, nn

from rwmu_train.policy.action_regression import fit_actions
from rwmu_train.policy.demonstrations import CloningSettings, Demonstrations

_LEAST_STD = 1.0e-3


def clone_behaviour(
    actor: MLPModel,
    demonstrations: Demonstrations,
    view: Callable[[Tensor, torch.Generator], Tensor],
    settings: CloningSettings,
    *,
    seed: int,
    fresh: bool = False,
    on_step: Callable[[int, float], None] | None = None,
) -> float:
    """Fit the actor's mean to the demonstrations, as the actor sees them in training.

    Args:
        actor: Goes on from what it can do.
        demonstrations: What is imitated.
        view: What the actor sees of an observation.
        settings: Steps, batch size and learning rate.
        seed: Of the draw.
        fresh: The actor can do nothing yet and has no normaliser: its weights are taken as those
            of whitened inputs.
        on_step: Told the steps done and the latest squared error.

    Returns:
        Root mean square error of the action over the last tenth of the steps.
    """
    generator = torch.Generator().manual_seed(seed)
    whitening = None
    if fresh:
        whitening = _Whitening.of(view(demonstrations.observation, generator))

    def predict(index: Tensor) -> Tensor:
        seen = view(demonstrations.observation[index], generator)
        return actor.mlp(actor.obs_normalizer(seen) if whitening is None else whitening(seen))

    errors = fit_actions(
        actor.mlp.parameters(), predict, demonstrations.action, settings, generator, on_step
    )
    if whitening is not None:
        whitening.fold_into(next(m for m in actor.mlp.modules() if isinstance(m, nn.Linear)))
    return float(np.sqrt(np.mean(errors[math.ceil(0.9 * len(errors)) :])))


@dataclass(frozen=True)
class _Whitening:
    """Mean and standard deviation of what an actor sees, each of shape (O,)."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, seen: Tensor) -> _Whitening:
        """Of observations, shape (n, O); what never changes or is not seen stays as it is."""
        std, mean = torch.std_mean(seen, dim=0)
        changes = std > _LEAST_STD
        return cls(torch.where(changes, mean, 0.0), torch.where(changes, std, 1.0))

    def __call__(self, seen: Tensor) -> Tensor:
        return (seen - self.mean) / self.std

    @torch.no_grad()
    def fold_into(self, first: nn.Linear) -> None:
        """Let a layer of whitened inputs take them as they are."""
        first.weight.div_(self.std)
        first.bias.sub_(first.weight @ self.mean)
