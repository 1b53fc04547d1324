"""The velocity that the operator asks for: clipped, and ramped to zero when it goes stale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rwmu_deploy.contract.command_range import CommandRange

FloatArray = NDArray[np.float64]

STALE_RAMP_S = 0.5
"""A command that went stale reaches zero within this time."""
_FUTURE_TOLERANCE_S = 0.02


@dataclass(frozen=True, eq=False)
class VelocityMemory:
    """The latest command that could be used, and when it came."""

    command: FloatArray
    """Clipped to the range, shape (3,); zero before the first."""
    received_s: float
    """Minus infinity before the first."""


class VelocityCommand:
    """The latest command that could be used.

    Args:
        command_range: What commands are clipped to.
        max_age_s: An older command ramps to zero.
    """

    def __init__(self, command_range: CommandRange, max_age_s: float) -> None:
        self._range = command_range
        self._max_age_s = max_age_s
        # One reference, so that a thread that sets and a thread that reads never see half of it.
        self._latest = VelocityMemory(np.zeros(3), -math.inf)

    def set(self, command: ArrayLike, now_s: float) -> bool:
        """Take a command, shape (3,), received at `now_s`.

        Returns:
            False where it isn't three finite numbers or the time isn't finite: the previous
            command stays, and ages.
        """
        try:
            values = np.asarray(command, dtype=np.float64)
        except (TypeError, ValueError):
            return False
        if not (values.shape == (3,) and np.isfinite(values).all() and math.isfinite(now_s)):
            return False
        self._latest = VelocityMemory(self._range.clip(values), now_s)
        return True

    def is_stale(self, now_s: float) -> bool:
        """Whether there was a command, and the latest is older than allowed."""
        received_s = self._latest.received_s
        return received_s > -math.inf and not (
            -_FUTURE_TOLERANCE_S <= now_s - received_s <= self._max_age_s
        )

    def at(self, now_s: float) -> FloatArray:
        """The command to follow at `now_s`, shape (3,): all of it, or what the ramp left of it."""
        latest = self._latest
        age_s = now_s - latest.received_s
        if not (-_FUTURE_TOLERANCE_S <= age_s <= self._max_age_s + STALE_RAMP_S):
            return np.zeros(3)
        overdue_s = max(0.0, age_s - self._max_age_s)
        return latest.command * (1.0 - overdue_s / STALE_RAMP_S)

    @property
    def memory(self) -> VelocityMemory:
        """All that later answers depend on."""
        return self._latest

    def restore(self, memory: VelocityMemory) -> None:
        """Go on from there."""
        self._latest = memory
