"""Whether a number tells disturbed windows of time from undisturbed ones, at every threshold.

T = control steps, N = robots, W = windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_train.evaluation.monitor.monitored_walk import MonitoredWalk
from rwmu_train.evaluation.world_model.ranking import auroc
from rwmu_train.export.monitor_fit import BEFORE_A_FALL_S

FloatArray = NDArray[np.float64]

SCORE_WINDOW_S = 5.0
FALSE_SHARE = 0.01
"""At which share of false windows the true ones are counted."""


def window_scores(
    score: NDArray[np.floating], start: NDArray[np.int64], end: NDArray[np.int64], width: int
) -> FloatArray:
    """Largest score of every whole window of robots, shape (W,).

    Args:
        score: Shape (T, N).
        start: Step at which a robot's first window begins, shape (N,).
        end: Step before which its last one ends, shape (N,).
        width: Steps of a window.
    """
    return np.array(
        [
            score[step : step + width, i].max()
            for i in range(score.shape[1])
            for step in range(start[i], end[i] - width + 1, width)
        ],
        dtype=np.float64,
    )


def undisturbed_scores(
    walk: MonitoredWalk, score: NDArray[np.floating], start_step: int
) -> FloatArray:
    """Of windows in which nothing happened; the last second before a fall is in none.

    Args:
        walk: Without a disturbance.
        score: Of its steps, shape (T, N).
        start_step: Where the windows begin.
    """
    before_a_fall = round(BEFORE_A_FALL_S / walk.control_dt_s)
    end = np.where(walk.fall_step < 0, walk.end_step, walk.end_step - before_a_fall)
    start = np.full(len(end), start_step)
    return window_scores(score, start, end, _width(walk))


def disturbed_scores(
    walk: MonitoredWalk, score: NDArray[np.floating], onset_step: int, *, lasts: bool
) -> FloatArray:
    """Of windows after a disturbance set in, up to the fall, which may cut the first one short.

    Args:
        walk: With the disturbance.
        score: Of its steps, shape (T, N).
        onset_step: The first step under it; its effect is measured at the next one.
        lasts: Whether all windows count, or the first one of every robot only.
    """
    first, width = onset_step + 1, _width(walk)
    cut = [
        score[first : min(first + width, end), i].max()
        for i, end in enumerate(walk.end_step)
        if end > first
    ]
    later = window_scores(score, np.full(len(walk.end_step), first + width), walk.end_step, width)
    return np.array([*cut, *later] if lasts else cut, dtype=np.float64)


def _width(walk: MonitoredWalk) -> int:
    return round(SCORE_WINDOW_S / walk.control_dt_s)


@dataclass(frozen=True)
class WindowRanking:
    """How well a number ranks windows."""

    auroc: float
    seen_at_false_share: float
    """Share of disturbed windows above the threshold that FALSE_SHARE of the others exceed."""
    curve: tuple[FloatArray, FloatArray]
    """Share of undisturbed and of disturbed windows at or above each threshold, from the
    highest down, with (0, 0) first."""

    def to_dict(self) -> dict[str, Any]:
        return {"auroc": self.auroc, "seen_at_1_percent_false": self.seen_at_false_share}


def rank_windows(disturbed: FloatArray, undisturbed: FloatArray) -> WindowRanking | None:
    """Compare scores of windows; None where there are none of one kind."""
    positive = np.repeat([True, False], [len(disturbed), len(undisturbed)])
    score = np.concatenate([disturbed, undisturbed])
    area = auroc(score, positive)
    if area is None:
        return None
    order = np.argsort(-score, kind="stable")
    score, positive = score[order], positive[order]
    last = np.append(score[1:] != score[:-1], True)
    true = np.append(0.0, (np.cumsum(positive) / len(disturbed))[last])
    false = np.append(0.0, (np.cumsum(~positive) / len(undisturbed))[last])
    seen = float(true[false <= FALSE_SHARE].max())
    return WindowRanking(area, seen, (false, true))
