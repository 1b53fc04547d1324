"""Times of the rows: one a control period, at the moments at which the joint targets change.

A controller measures, computes, and sends a target that then holds for a control period. If rows
lay anywhere else, two targets would share the 20 ms before a row. The phase of the changes is
found in windows of a second and followed, because the controller's clock and the recorder's drift
apart. N = rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_WINDOW_S = 1.0
_FEWEST_CHANGES = 5
_CLEAR = 0.5
"""Smallest length of a window's mean phase vector; 1 for changes that are strictly periodic."""


@dataclass(frozen=True, eq=False)
class ControlGrid:
    """Times at which rows may be."""

    number: NDArray[np.int64]
    """Grows by 1 from a row to its successor, by more where measurements pause. Shape (N,)."""
    time_s: FloatArray
    """Shape (N,)."""
    locked_share: float
    """Share of the seconds with changing targets in which the changes had one phase; 1 if targets
    never change."""


def control_grid(
    measured_s: FloatArray, changed_s: FloatArray, *, period_s: float, max_gap_s: float
) -> ControlGrid:
    """Lay the grid over the stretches in which measurements come.

    Args:
        measured_s: Times of measurements, ascending, one or more.
        changed_s: Times at which the target changed, ascending.
        period_s: The control period.
        max_gap_s: A longer pause between measurements ends a stretch.
    """
    centre_s, phase_s, locked_share = _phases(changed_s, period_s)
    cuts = np.flatnonzero(np.diff(measured_s) > max_gap_s)
    begin_s = measured_s[np.append(0, cuts + 1)]
    end_s = measured_s[np.append(cuts, len(measured_s) - 1)]
    margin = int(np.ceil(np.abs(phase_s).max() / period_s)) + 1
    numbers: list[NDArray[np.int64]] = []
    times: list[FloatArray] = []
    for begin, end in zip(begin_s.tolist(), end_s.tolist(), strict=True):
        number = np.arange(int(begin / period_s) - margin, int(end / period_s) + margin + 1)
        time_s = number * period_s
        time_s = time_s + np.interp(time_s, centre_s, phase_s)
        inside = (time_s >= begin) & (time_s <= end)
        numbers.append(number[inside])
        times.append(time_s[inside])
    return ControlGrid(np.concatenate(numbers), np.concatenate(times), locked_share)


def change_times(time_s: FloatArray, values: FloatArray) -> FloatArray:
    """Times of the messages that differ from the message before, values of shape (M, W)."""
    return time_s[1:][np.any(values[1:] != values[:-1], axis=1)]


def _phases(changed_s: FloatArray, period_s: float) -> tuple[FloatArray, FloatArray, float]:
    """Middle of each clear window, phase there, and the share of windows that are clear."""
    second, window = np.unique(np.floor(changed_s / _WINDOW_S), return_inverse=True)
    count = np.bincount(window, minlength=len(second))
    angle = 2.0 * np.pi * changed_s / period_s
    mean = np.zeros(len(second), dtype=np.complex128)
    np.add.at(mean, window, np.exp(1j * angle))
    judged = count >= _FEWEST_CHANGES
    clear = judged & (np.abs(mean) >= _CLEAR * count)
    if not clear.any():
        return np.zeros(1), np.zeros(1), 0.0 if judged.any() else 1.0
    phase_s = np.unwrap(np.angle(mean[clear])) * period_s / (2.0 * np.pi)
    share = float(clear.sum() / judged.sum())
    return (second[clear] + 0.5) * _WINDOW_S, phase_s, share
