"""Values of a time series at other times: linear for what is continuous, held for commands.

N = times asked for, W = numbers a message.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_train.bags.message_clock import TimedSeries
from rwmu_train.bags.message_series import Fault

FloatArray = NDArray[np.float64]

_ROUNDING_S = 1e-6
"""Times are compared to this: rounding must not decide whether a message counts."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """A series at the times asked for."""

    values: FloatArray
    """Shape (N, W); meaningless where there is a fault."""
    fault: NDArray[np.int8]
    """A `Fault` a time, shape (N,)."""
    epoch: NDArray[np.int64]
    """Two neighbours of different epochs don't belong together. Shape (N,)."""
    epoch_fault: NDArray[np.int8]
    """What each epoch began after, indexed by epoch."""


def interpolate(
    series: TimedSeries, at_s: FloatArray, max_gap_s: float, *, quaternion: slice | None = None
) -> Resampled:
    """Linear between the message before and the one after, if they are of one epoch.

    Args:
        series: Messages without faults (see `without_faults`), one or more.
        at_s: Ascending, shape (N,).
        max_gap_s: The two messages may lie at most this far apart.
        quaternion: Columns that hold a quaternion: its shorter arc is taken, and the result has
            length 1.
    """
    before, after, covered = _neighbours(series.time_s, at_s)
    span_s = series.time_s[after] - series.time_s[before]
    share = (at_s - series.time_s[before]) / np.where(span_s > 0.0, span_s, 1.0)
    left, right = series.values[before], series.values[after].copy()
    if quaternion is not None:
        away = np.sum(left[:, quaternion] * right[:, quaternion], axis=1) < 0.0
        right[away, quaternion] *= -1.0
    values = left + share[:, None] * (right - left)
    if quaternion is not None:
        values[:, quaternion] /= np.linalg.norm(values[:, quaternion], axis=1, keepdims=True)
    near = covered & (span_s <= max_gap_s + _ROUNDING_S)
    fault = np.where(near, Fault.NONE, Fault.NO_MESSAGE).astype(np.int8)
    broken = covered & (series.epoch[before] != series.epoch[after])
    fault[broken] = series.epoch_fault[series.epoch[after[broken]]]
    return Resampled(values, fault, series.epoch[before], series.epoch_fault)


def hold(series: TimedSeries, at_s: FloatArray, max_age_s: float) -> Resampled:
    """The newest message at or before each time, with its fault, if it is not too old."""
    index = np.searchsorted(series.time_s, at_s + _ROUNDING_S, side="right") - 1
    exists = index >= 0
    index = np.maximum(index, 0)
    fresh = exists & (at_s - series.time_s[index] <= max_age_s + _ROUNDING_S)
    fault = np.where(fresh, series.fault[index], Fault.NO_MESSAGE).astype(np.int8)
    return Resampled(series.values[index], fault, series.epoch[index], series.epoch_fault)


def _neighbours(
    time_s: FloatArray, at_s: FloatArray
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Messages at or before and at or after each time, and whether both exist."""
    before = np.searchsorted(time_s, at_s, side="right") - 1
    after = np.searchsorted(time_s, at_s, side="left")
    covered = (before >= 0) & (after < len(time_s))
    last = len(time_s) - 1
    return np.clip(before, 0, last), np.clip(after, 0, last), covered
