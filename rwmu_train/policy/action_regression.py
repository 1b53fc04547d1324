"""Least squares on demonstrated actions, by Adam with a cosine decay of its rate.

n = rows, B = rows of a batch, A = action size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from rwmu_train.policy.demonstrations import CloningSettings


def fit_actions(
    parameters: Iterable[Tensor],
    predict: Callable[[Tensor], Tensor],
    action: Tensor,
    settings: CloningSettings,
    generator: torch.Generator,
    on_step: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Fit what predicts actions.

    Args:
        parameters: What is fitted.
        predict: Actions (B, A) of the rows of these numbers, shape (B,).
        action: Demonstrated, shape (n, A).
        settings: Steps, batch size and learning rate.
        generator: Draws the rows.
        on_step: Told the steps done and the latest squared error.

    Returns:
        Mean square error of every step.
    """
    optimiser = torch.optim.Adam(parameters, settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    errors: list[float] = []
    for step in range(settings.steps):
        index = torch.randint(len(action), (settings.batch_size,), generator=generator)
        loss = (predict(index) - action[index]).square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        errors.append(float(loss.detach()))
        if on_step is not None:
            on_step(step + 1, errors[-1])
    return errors
