"""How much noise on the history costs: the target stays clean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from rwmu_train.evaluation.world_model.forecast_windows import ForecastWindows
from rwmu_train.evaluation.world_model.prediction_error import l1_error
from rwmu_train.evaluation.world_model.rollout import Followed, roll_out
from rwmu_train.world_model.ensemble import WorldModel

NOISE_LEVELS = (0.0, 0.1, 0.2, 0.5, 1.0)
NOISE_STEP = 8


def error_under_noise(
    model: WorldModel,
    windows: ForecastWindows,
    followed: Followed,
    *,
    seed: int,
    levels: Sequence[float] = NOISE_LEVELS,
) -> dict[float, float]:
    """Mean L1 error at step 8, or the last one of shorter windows, by noise level.

    Gaussian noise with these standard deviations is added to the normalised states of the history,
    the same draw times the level.
    """
    batch = windows.batch
    short = windows.history + min(NOISE_STEP, windows.horizon)
    clean = type(batch)(**{name: value[:short] for name, value in vars(batch).items()})
    generator = torch.Generator().manual_seed(seed)
    noise = torch.zeros_like(clean.state)
    noise[: windows.history].normal_(generator=generator)
    errors = {}
    for level in levels:
        noisy = replace(windows, batch=replace(clean, state=clean.state + level * noise))
        rollout = roll_out(model, noisy, followed)
        last = clean.state[-1].numpy()
        errors[level] = float(l1_error(rollout.prediction[-1], last).mean())
    return errors
