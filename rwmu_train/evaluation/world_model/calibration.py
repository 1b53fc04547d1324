"""From the members' disagreement to a standard deviation.

sigma(step, entry) = factor(step) * sqrt(disagreement^2 + floor(entry)^2), in normalised units.

The floor of a state entry is the robust size of its one-step error (median / 0.6745): noise that
all members agree on. Errors have heavier tails than a normal distribution, so that a factor which
is right for one sigma is too small for two. The factor at a step is the geometric mean of both:
the 68.3 % quantile of |error| / sqrt(...) over windows and entries, and half its 95.4 % quantile.
One extreme window does not move a quantile, as it would a mean square. Its logarithm is then
smoothed by a parabola over log(step): three numbers, which a few windows settle, for a curve that
one global factor can't follow (disagreement grows more slowly than error). Beyond the last fitted
step the factor stays as it is.
H steps, W windows, S state size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_train.evaluation.world_model.rollout import Rollout

FloatArray = NDArray[np.floating]

ONE_SIGMA, TWO_SIGMA = 0.6827, 0.9545
"""Shares of a normal distribution within one and two standard deviations."""
_MEDIAN_OF_NORMAL = 0.6745
_SMALLEST_FLOOR = 1.0e-4
_DEGREE = 2


@dataclass(frozen=True, eq=False)
class Calibration:
    """Turns disagreement into a standard deviation."""

    floor: FloatArray
    """Normalised units, shape (S,), above 0."""
    log_factor: FloatArray
    """Polynomial of log(step), highest power first."""
    last_step: int
    """Longest horizon it was fitted to."""

    def factor(self, step: NDArray[np.integer]) -> FloatArray:
        """Factor at steps counted from 1."""
        known = np.clip(step, 1, self.last_step)
        return np.exp(np.polyval(self.log_factor, np.log(known)))

    def sigma(self, disagreement: FloatArray) -> FloatArray:
        """Standard deviation of the error at steps 1 to H.

        Args:
            disagreement: Standard deviation of the members' means, shape (H, ..., S).
        """
        step = np.arange(1, len(disagreement) + 1)
        factor = self.factor(step).reshape(-1, *[1] * (disagreement.ndim - 1))
        return factor * np.hypot(disagreement, self.floor)


def fit_calibration(rollout: Rollout, target: FloatArray) -> Calibration:
    """Fit floor and factor to forecasts and what came true, shape (H, W, S)."""
    error = np.abs(rollout.prediction - target)
    floor = np.maximum(np.median(error[0], axis=0) / _MEDIAN_OF_NORMAL, _SMALLEST_FLOOR)
    step = np.arange(1, len(target) + 1)
    # Step by step: the ratio of all steps at once would be another array of the rollout's size.
    factor = np.array(
        [
            _between_one_and_two_sigma(e / np.hypot(d, floor))
            for e, d in zip(error, rollout.disagreement, strict=True)
        ]
    )
    # Evenly weighted over log(step): polyfit squares its weights.
    log_factor = np.polyfit(
        np.log(step),
        np.log(np.maximum(factor, _SMALLEST_FLOOR)),
        min(_DEGREE, len(step) - 1),
        w=step**-0.5,
    )
    return Calibration(floor, log_factor, len(step))


def _between_one_and_two_sigma(ratio: FloatArray) -> float:
    one, two = np.quantile(ratio, (ONE_SIGMA, TWO_SIGMA))
    return float(np.sqrt(one * two / 2.0))


def coverage(error: FloatArray, sigma: FloatArray, width: float) -> FloatArray:
    """Share of errors within `width` sigma at each step, shape (H,), of (H, W, S)."""
    return (np.abs(error) <= width * sigma).reshape(len(error), -1).mean(axis=1)
