"""When the next tick is due: a fixed grid that skips what it missed and never catches up."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rwmu_deploy.contract.errors import ConfigError

# Rounding of now_s must not turn a tick on time into an overrun, nor hide a whole missed period.
_GRID_TOLERANCE = 1e-6


@dataclass(frozen=True)
class TickTiming:
    """How a tick stood to the grid."""

    skipped: int
    """Grid points that passed meanwhile and get no tick."""
    late_s: float
    """Time since the tick's own grid point."""


class Ticker:
    """The grid start_s + k * period_s.

    Sleep until `deadline_s`, do the tick's work, then call `advance` with the time at its end. A
    tick that took longer than a period makes the grid points it covered fall out; the following
    ticks keep the grid's phase and come no faster than the period.

    Args:
        period_s: Time between ticks.
        start_s: Deadline of the first tick.

    Raises:
        ConfigError: The period isn't a finite number above 0, or the start isn't finite.
    """

    def __init__(self, period_s: float, start_s: float) -> None:
        if not (math.isfinite(period_s) and period_s > 0.0 and math.isfinite(start_s)):
            raise ConfigError(
                f"a ticker can't have a period of {period_s} s from {start_s} s",
                fix="Give a finite period above 0 s and a finite start.",
            )
        self.period_s = period_s
        self._start_s = start_s
        self._index = 0
        self.overruns = 0
        """Ticks that made at least one grid point fall out."""
        self.skipped = 0
        """Grid points that fell out."""

    @property
    def deadline_s(self) -> float:
        """When the next tick is due."""
        return self._start_s + self._index * self.period_s

    def advance(self, now_s: float) -> TickTiming:
        """Move on to the first grid point after `now_s`."""
        late_s = now_s - self.deadline_s
        skipped = max(0, math.floor(late_s / self.period_s + _GRID_TOLERANCE))
        self._index += 1 + skipped
        self.skipped += skipped
        self.overruns += skipped > 0
        return TickTiming(skipped, late_s)


@dataclass(frozen=True)
class PeriodErrors:
    """How far periods were from nominal, in absolute value; 0 where none was measured."""

    count: int
    median_s: float
    p99_s: float
    max_s: float


class PeriodStatistics:
    """Errors of the time between tick starts; memory is bounded.

    Median and 99th percentile cover the latest `capacity` periods (5 minutes at 50 Hz), count and
    maximum cover all.
    """

    def __init__(self, period_s: float, capacity: int = 15_000) -> None:
        self._period_s = period_s
        self._errors_s = np.zeros(capacity)
        self._count = 0
        self._max_s = 0.0
        self._last_start_s: float | None = None

    def record(self, start_s: float) -> None:
        """Take note of a tick's start."""
        if self._last_start_s is not None:
            error_s = abs(start_s - self._last_start_s - self._period_s)
            self._errors_s[self._count % len(self._errors_s)] = error_s
            self._count += 1
            self._max_s = max(self._max_s, error_s)
        self._last_start_s = start_s

    def percentiles_s(self) -> list[float]:
        """Absolute period errors at the percentiles 0, 1, ..., 100; empty before two ticks."""
        if self._count == 0:
            return []
        return np.percentile(self._errors_s[: self._count], np.arange(101)).tolist()

    def errors(self) -> PeriodErrors:
        """Summary so far."""
        if self._count == 0:
            return PeriodErrors(0, 0.0, 0.0, 0.0)
        median_s, p99_s = np.percentile(self._errors_s[: self._count], [50.0, 99.0])
        return PeriodErrors(self._count, float(median_s), float(p99_s), self._max_s)
