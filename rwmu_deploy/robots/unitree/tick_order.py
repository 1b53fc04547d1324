"""Whether a frame is newer than the last: by the robot's own tick, which wraps at 2**32 ms."""

from __future__ import annotations

from enum import Enum

from rwmu_deploy.runtime.safety_monitor import BAD_IN_A_ROW

RESTART_MS = 1000
"""A tick further back than this isn't late on its way; in order with others like it, it is of
another start of the robot's computer."""
_WRAP = 2**32


class TickStep(Enum):
    """What a frame's tick says of it."""

    NEWER = "newer"
    REPEATED = "repeated"
    """The same tick: an old measurement, sent again."""
    BEHIND = "behind"
    """Overtaken on its way, or of a clock that went back."""
    RESTARTED = "restarted"
    """The third in a row that is far back: its tick is where time goes on from."""


class TickOrder:
    """Remembers the newest tick."""

    def __init__(self) -> None:
        self._newest: int | None = None
        self._far_back: int | None = None
        self._far_back_in_a_row = 0

    def take(self, tick_ms: int) -> TickStep:
        """Judge the next frame's tick."""
        if self._newest is None or _is_ahead(tick_ms, self._newest):
            self._newest, self._far_back_in_a_row = tick_ms, 0
            return TickStep.NEWER
        back_ms = (self._newest - tick_ms) % _WRAP
        if back_ms == 0:
            return TickStep.REPEATED
        if back_ms <= RESTART_MS:
            return TickStep.BEHIND
        follows = self._far_back is not None and _is_ahead(tick_ms, self._far_back)
        self._far_back_in_a_row = self._far_back_in_a_row + 1 if follows else 1
        self._far_back = tick_ms
        if self._far_back_in_a_row < BAD_IN_A_ROW:
            return TickStep.BEHIND
        self._newest, self._far_back_in_a_row = tick_ms, 0
        return TickStep.RESTARTED


def _is_ahead(tick_ms: int, other_ms: int) -> bool:
    return 0 < (tick_ms - other_ms) % _WRAP < _WRAP // 2
