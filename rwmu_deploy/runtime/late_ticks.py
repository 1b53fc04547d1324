"""Whether the loop comes too late too often for a policy that was trained at a fixed rate."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from rwmu_deploy.contract.robot_spec import SafetyLimits
from rwmu_deploy.runtime.safety_monitor import SafetyState, Verdict

WINDOW_S = 1.0
"""Late ticks are counted in it, and it must pass without one before the verdict ends. So an
overload that stays means one HOLD, not a HOLD and a RUN in turn."""
# Times are sums of periods; their rounding must not move the end of the window by a tick.
_TIME_TOLERANCE_S = 1e-6


@dataclass(frozen=True)
class LateMemory:
    """What is known of earlier ticks."""

    late_s: tuple[float, ...]
    in_a_row: int
    too_late: bool


class LateTicks:
    """Counts the ticks that came after a skipped one.

    Args:
        limits: How many are too many.
    """

    def __init__(self, limits: SafetyLimits) -> None:
        self._limits = limits
        self.reset()

    def reset(self) -> None:
        """Before a start."""
        self._late_s: deque[float] = deque()
        self._in_a_row = 0
        self._too_late = False

    def verdicts(self, now_s: float, skipped: int) -> list[Verdict]:
        """Judge a tick.

        Args:
            now_s: Monotonic time of its start.
            skipped: Grid points without a tick since the previous one.
        """
        is_late = not skipped <= 0
        self._in_a_row = self._in_a_row + 1 if is_late else 0
        if is_late:
            self._late_s.append(now_s)
        while self._late_s and not now_s - self._late_s[0] < WINDOW_S - _TIME_TOLERANCE_S:
            self._late_s.popleft()
        if not self._late_s:
            self._too_late = False
        self._too_late = self._too_late or not (
            self._in_a_row < self._limits.late_ticks_in_a_row_hold
            and len(self._late_s) < self._limits.late_ticks_per_s_hold
        )
        if not self._too_late:
            return []
        detail = f"{self._in_a_row} late ticks in a row, {len(self._late_s)} within {WINDOW_S:g} s"
        return [Verdict(SafetyState.HOLD, "late_ticks", detail)]

    @property
    def memory(self) -> LateMemory:
        """All that later verdicts depend on."""
        return LateMemory(tuple(self._late_s), self._in_a_row, self._too_late)

    def restore(self, memory: LateMemory) -> None:
        """Go on from there."""
        self._late_s = deque(memory.late_s)
        self._in_a_row, self._too_late = memory.in_a_row, memory.too_late
