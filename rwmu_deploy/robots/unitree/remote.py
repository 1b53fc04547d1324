"""What the hand-held remote says, in the 40 bytes that LowState carries of it."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from rwmu_deploy.contract.errors import RobotLinkError

SIZE = 40
BUTTONS = (
    *("R1", "L1", "start", "select", "R2", "L2", "F1", "F2"),
    *("A", "B", "X", "Y", "up", "right", "down", "left"),
)
"""By bit, from the lowest."""
LOST_S = 3.0
"""After so long without a sign of life it is lost."""
STOP_CHORD = frozenset({"L2", "B"})
"""Unitree's own chord for damping; pressing it means that, whatever else is pressed."""
START = "start"


@dataclass(frozen=True)
class RemoteReading:
    """One look at the remote."""

    pressed: frozenset[str]
    """Names of `BUTTONS`."""
    left: tuple[float, float]
    """Left stick: x to the right, y forward, -1 to 1."""
    right: tuple[float, float]
    """Right stick, the same."""

    @property
    def stops(self) -> bool:
        """Whether the e-stop chord is pressed."""
        return self.pressed >= STOP_CHORD

    @property
    def starts(self) -> bool:
        return START in self.pressed and not self.stops

    def velocity_command(
        self, upper: tuple[float, float, float], lower: tuple[float, float, float]
    ) -> tuple[float, float, float]:
        """vx, vy, wz of the sticks: left forward and to the side, right for the turn.

        Args:
            upper: Command at a stick's end, forward, to the left and turning left.
            lower: The same of the other end, below 0.
        """
        asked = (self.left[1], -self.left[0], -self.right[0])
        vx, vy, wz = (
            share * high if share >= 0.0 else -share * low
            for share, high, low in zip(asked, upper, lower, strict=True)
        )
        return vx, vy, wz


def read_remote(data: bytes) -> RemoteReading | None:
    """Decode the bytes; None where the remote is silent, all of whose bytes are 0.

    Raises:
        RobotLinkError: Not 40 bytes, or a stick that is none: not finite, or beyond its end.
    """
    if len(data) != SIZE:
        raise RobotLinkError(
            f"the remote has {len(data)} bytes; allowed is {SIZE}", fix="Pass them as they came."
        )
    if not any(data):
        return None
    left_x, right_x, right_y = struct.unpack_from("<3f", data, 4)
    (left_y,) = struct.unpack_from("<f", data, 20)
    sticks = (left_x, left_y, right_x, right_y)
    # NaN fails the comparison too.
    if not all(math.fabs(value) <= 1.0 + 1e-3 for value in sticks):
        raise RobotLinkError(
            f"the remote's sticks are at {sticks}; allowed is -1 to 1",
            fix="Don't follow it; look at the remote.",
        )
    return RemoteReading(pressed_buttons(data), (left_x, left_y), (right_x, right_y))


def pressed_buttons(data: bytes) -> frozenset[str]:
    """Names of `BUTTONS`, wherever the sticks may be.

    Args:
        data: 40 bytes.
    """
    (bits,) = struct.unpack_from("<H", data, 2)
    return frozenset(name for bit, name in enumerate(BUTTONS) if bits >> bit & 1)
