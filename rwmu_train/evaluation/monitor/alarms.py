"""What an operator gets to hear: false cautions, and how soon the true ones come.

T = control steps, N = robots.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.runtime.uncertainty_monitor import MonitorLevel
from rwmu_train.evaluation.monitor.monitored_walk import MonitoredWalk
from rwmu_train.export.monitor_fit import BEFORE_A_FALL_S

MERGE_S = 2.0
"""Cautions with less time between them are one."""
WINDOW_S = 15.0
"""A disturbance is seen if a sign of it comes within so long."""


@dataclass(frozen=True)
class FalseAlarms:
    """Of robots to which nothing happened."""

    hours: float
    """Walked, without the last second before falls."""
    cautions: int
    """Episodes of a level above normal."""
    losts: int
    falls: int

    @property
    def cautions_per_hour(self) -> float:
        return self.cautions / self.hours

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"cautions_per_hour": self.cautions_per_hour}


def false_alarms(walk: MonitoredWalk) -> FalseAlarms:
    """Count what was said without a reason. What was said before a fall had one."""
    before_a_fall, gap = (round(t / walk.control_dt_s) for t in (BEFORE_A_FALL_S, MERGE_S))
    cautions = losts = steps = 0
    for level, fall_step, end in zip(walk.level.T, walk.fall_step, walk.end_step, strict=True):
        judged = level[: end if fall_step < 0 else max(0, end - before_a_fall)]
        steps += len(judged)
        cautions += count_episodes(judged >= MonitorLevel.CAUTION, gap)
        losts += count_episodes(judged == MonitorLevel.LOST, 0)
    return FalseAlarms(
        hours=steps * walk.control_dt_s / 3600.0,
        cautions=cautions,
        losts=losts,
        falls=int((walk.fall_step >= 0).sum()),
    )


def count_episodes(on: NDArray[np.bool_], gap: int) -> int:
    """Runs of True, shape (T,); runs with fewer than `gap` steps of False between are one."""
    when = np.flatnonzero(on)
    return 0 if len(when) == 0 else 1 + int((np.diff(when) - 1 >= max(gap, 1)).sum())


@dataclass(frozen=True)
class Detection:
    """Of one disturbance, over the robots that walked when it set in."""

    robots: int
    seen: int
    """Robots with a sign within WINDOW_S and before their fall."""
    median_s: float | None
    """Time after which half of all robots were seen; None: half never were."""
    ninety_percent_s: float | None
    lost: int
    """Robots whose monitor said lost within WINDOW_S and before their fall."""
    falls: int
    """Within WINDOW_S."""
    seen_before_fall: int
    lead_s: float | None
    """Median time from the first sign to the fall, of robots seen before it."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def detection(walk: MonitoredWalk, onset_step: int) -> Detection:
    """Count what was seen.

    Args:
        walk: With the disturbance.
        onset_step: The first step under it; its effect is measured at the next one.
    """
    dt_s, window = walk.control_dt_s, round(WINDOW_S / walk.control_dt_s)
    walks = walk.end_step > onset_step
    falls = walks & (walk.fall_step >= 0) & (walk.fall_step < onset_step + window)
    # The reading of the step at whose end the robot falls is the last before the fall.
    signs = walk.statistics.max(axis=2) > 1.0
    seen = first_steps(signs, onset_step + 1, onset_step + window)[walks]
    lost = first_steps(walk.level == MonitorLevel.LOST, onset_step + 1, onset_step + window)
    delay_s = np.sort(np.where(seen < 0, np.inf, (seen - onset_step) * dt_s))
    lead_s = (walk.fall_step[walks] + 1 - seen)[falls[walks] & (seen >= 0)] * dt_s
    return Detection(
        robots=int(walks.sum()),
        seen=int((seen >= 0).sum()),
        median_s=_reached(delay_s, 0.5),
        ninety_percent_s=_reached(delay_s, 0.9),
        lost=int((lost[walks] >= 0).sum()),
        falls=int(falls.sum()),
        seen_before_fall=len(lead_s),
        lead_s=float(np.median(lead_s)) if len(lead_s) else None,
    )


def first_steps(on: NDArray[np.bool_], start: int, last: int) -> NDArray[np.int64]:
    """First step from `start` to `last` at which it is on, -1 without one; (T, N) to (N,)."""
    part = on[start : last + 1]
    return np.where(part.any(axis=0), part.argmax(axis=0) + start, -1)


def _reached(sorted_s: NDArray[np.float64], share: float) -> float | None:
    """Time by which at least so large a share has come."""
    count = int(np.ceil(share * len(sorted_s)))
    if count == 0 or not np.isfinite(sorted_s[count - 1]):
        return None
    return float(sorted_s[count - 1])
