"""Where time comes from: the monotonic clock, or a clock that tests and fast simulations turn."""

from __future__ import annotations

import math
import time
from typing import Protocol

from rwmu_deploy.contract.errors import ConfigError


class Clock(Protocol):
    """Anything that tells monotonic time."""

    def now_s(self) -> float:
        """Seconds since an arbitrary moment; never goes back."""
        ...


class MonotonicClock:
    """The machine's monotonic clock; setting the wall clock doesn't move it."""

    def now_s(self) -> float:
        """Seconds since an arbitrary moment; never goes back."""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is advanced."""

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s

    def now_s(self) -> float:
        """The time it was last advanced to."""
        return self._now_s

    def advance(self, seconds: float) -> float:
        """Go forward and return the new time.

        Raises:
            ConfigError: `seconds` is negative or not finite.
        """
        if not (math.isfinite(seconds) and seconds >= 0.0):
            raise ConfigError(
                f"a clock can't advance by {seconds} s", fix="Give a finite time, 0 s or more."
            )
        self._now_s += seconds
        return self._now_s
