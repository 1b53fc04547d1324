"""Does the uncertainty rise where the model is wrong because the data are of another kind?

W windows, H = 32 steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_train.evaluation.world_model.forecast_windows import draw_windows
from rwmu_train.evaluation.world_model.prediction_error import l1_error
from rwmu_train.evaluation.world_model.ranking import auroc, spearman
from rwmu_train.evaluation.world_model.rollout import Followed, roll_out
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.world_model.ensemble import WorldModel

OFF_DATA_STEPS = (1, 8, 32)
LARGE_ERROR_QUANTILE = 0.95
IN_DATA = "in-data"


@dataclass(frozen=True)
class SetScore:
    """Means over the windows of one set, by step."""

    windows: int
    episodes: int
    error: dict[int, float]
    uncertainty: dict[int, float]
    """`std_sum`."""
    large_error_share: dict[int, float]
    """Windows whose error is above the 95 % quantile of the in-data errors at that step."""


@dataclass(frozen=True)
class OffDataScore:
    """Each set alone, and all of them together."""

    sets: dict[str, SetScore]
    """In-data windows first, under `in-data`."""
    spearman: dict[int, float | None]
    """Of uncertainty against error over the windows of all sets at a step."""
    auroc: dict[int, float | None]
    """Of uncertainty for an error above the 95 % quantile of the in-data errors at that step."""


@dataclass(frozen=True)
class _Points:
    error: NDArray[np.floating]
    uncertainty: NDArray[np.floating]
    episodes: int


def judge_off_data(
    model: WorldModel,
    in_data: TransitionDataset,
    off_data: Mapping[str, TransitionDataset],
    normaliser: StateNormaliser,
    followed: Followed,
    *,
    history: int,
    windows: int,
    seed: int,
) -> OffDataScore:
    """Forecast windows of every set for 32 steps, `windows` of each set.

    Raises:
        TransitionFileError: A set has no episode of `history` + 32 rows.
    """
    points: dict[str, _Points] = {}
    for name, dataset in {IN_DATA: in_data, **off_data}.items():
        drawn = draw_windows(
            dataset,
            normaliser,
            history=history,
            horizon=OFF_DATA_STEPS[-1],
            count=windows,
            seed=seed,
        )
        rollout = roll_out(model, drawn, followed)
        error = l1_error(rollout.prediction, drawn.target)
        points[name] = _Points(error, rollout.std_sum, drawn.episodes)
    return _score(points)


def _score(points: Mapping[str, _Points]) -> OffDataScore:
    large = {s: _large_error(points[IN_DATA], s) for s in OFF_DATA_STEPS}
    error = np.concatenate([p.error for p in points.values()], axis=1)
    uncertainty = np.concatenate([p.uncertainty for p in points.values()], axis=1)
    return OffDataScore(
        sets={name: _set_score(p, large) for name, p in points.items()},
        spearman={s: spearman(uncertainty[s - 1], error[s - 1]) for s in OFF_DATA_STEPS},
        auroc={s: auroc(uncertainty[s - 1], error[s - 1] > large[s]) for s in OFF_DATA_STEPS},
    )


def _large_error(in_data: _Points, step: int) -> float:
    return float(np.quantile(in_data.error[step - 1], LARGE_ERROR_QUANTILE))


def _set_score(points: _Points, large: Mapping[int, float]) -> SetScore:
    return SetScore(
        windows=points.error.shape[1],
        episodes=points.episodes,
        error={s: float(points.error[s - 1].mean()) for s in OFF_DATA_STEPS},
        uncertainty={s: float(points.uncertainty[s - 1].mean()) for s in OFF_DATA_STEPS},
        large_error_share={s: float((points.error[s - 1] > large[s]).mean()) for s in large},
    )
