"""The newest LowState that the guard let through."""

from __future__ import annotations

import math

from rwmu_ros.newest_message import NewestMessage

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.robots.unitree.cdr import from_cdr
from rwmu_deploy.robots.unitree.frames import LOW_STATE
from rwmu_deploy.robots.unitree.link_guard import LinkGuard
from rwmu_deploy.robots.unitree.low_state import LowState


class LowStateMessages(NewestMessage[bytes, LowState]):
    """Takes messages as DDS carries them; the guard sees each of them.

    Args:
        guard: It judges the robot by them.
    """

    def __init__(self, guard: LinkGuard) -> None:
        super().__init__("low_state", self._accepted)
        self._guard = guard
        self._received_s = -math.inf

    def offer(self, message: bytes, now_s: float) -> bool:
        """Take a message in; says whether it is the newest now."""
        # Receipt is known by the wall clock, which may be set: order is kept all the same.
        self._received_s = max(self._received_s, now_s)
        return super().offer(message, self._received_s)

    def _accepted(self, data: bytes) -> LowState:
        structure = from_cdr(data, LOW_STATE, "LowState").tobytes()
        state = self._guard.take(structure, self._received_s)
        if state is None:
            raise RobotLinkError(
                f"LowState refused: {self._guard.last_refusal}",
                fix="docs/g1.md says what each refusal means.",
            )
        return state
