"""Does the uncertainty say where the error is? H steps, W windows.

Uncertainty and error both grow with the horizon, so that the number of the step alone correlates
with the error: correlations over all points, and even more those of step averages, mean little
without it. Correlations at one step are free of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_train.evaluation.world_model.ranking import pearson, spearman

FloatArray = NDArray[np.floating]


@dataclass(frozen=True)
class Correlation:
    """None where one side is constant."""

    pearson: float | None
    spearman: float | None


@dataclass(frozen=True)
class UncertaintyRanking:
    """Correlations of an uncertainty with the error."""

    all_points: Correlation
    step_averaged: Correlation
    """Of the means over windows."""
    by_step: dict[int, Correlation]
    """Over windows at one step, counted from 1."""


def rank_uncertainty(
    uncertainty: FloatArray, error: FloatArray, steps: Sequence[int]
) -> UncertaintyRanking:
    """Correlations of uncertainty with error, both of shape (H, W)."""
    return UncertaintyRanking(
        all_points=_correlation(uncertainty, error),
        step_averaged=_correlation(uncertainty.mean(axis=1), error.mean(axis=1)),
        by_step={step: _correlation(uncertainty[step - 1], error[step - 1]) for step in steps},
    )


def step_index_baseline(error: FloatArray) -> UncertaintyRanking:
    """What the step's number alone would reach as an uncertainty; error of shape (H, W)."""
    number = np.arange(1.0, len(error) + 1)
    return rank_uncertainty(np.broadcast_to(number[:, None], error.shape), error, ())


def _correlation(x: FloatArray, y: FloatArray) -> Correlation:
    return Correlation(pearson(x, y), spearman(x, y))
