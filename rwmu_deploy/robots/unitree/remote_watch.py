"""What the operator asks for by the remote: stop, start, a velocity; and whether it is there."""

from __future__ import annotations

import math

import numpy as np

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.robot_state import FloatArray
from rwmu_deploy.robots.unitree.link_limits import LinkLimits
from rwmu_deploy.robots.unitree.remote import (
    STOP_CHORD,
    RemoteReading,
    pressed_buttons,
    read_remote,
)


def stop_pressed(data: bytes) -> bool:
    """Whether the e-stop chord is in these 40 bytes, whatever else of them can't be used."""
    return pressed_buttons(data) >= STOP_CHORD


class RemoteWatch:
    """Remembers the remote's latest signs of life.

    Args:
        limits: Times and dead band.
        command_range: What the sticks' ends ask for.
    """

    def __init__(self, limits: LinkLimits, command_range: CommandRange) -> None:
        self._limits = limits
        self._range = command_range
        self._latest: RemoteReading | None = None
        self._heard_s = -math.inf
        self._started_s = -math.inf

    def take(self, data: bytes, received_s: float) -> str | None:
        """Take the 40 bytes of an accepted frame; returns what is to be counted.

        Start is a button that goes down. One held since the remote was last silent is none, as
        nobody saw it go down.
        """
        try:
            reading = read_remote(data)
        except RobotLinkError:
            reading, fault = None, "remote_unusable"
        else:
            fault = None if reading is not None else "remote_silent"
        before, self._latest = self._latest, reading
        if reading is None:
            return fault
        self._heard_s = received_s
        if reading.starts and before is not None and not before.starts and not before.stops:
            self._started_s = received_s
        return None

    def silent_s(self, now_s: float) -> float:
        """Time since the latest sign of life [s]; infinite before the first."""
        return now_s - self._heard_s

    def take_start(self, now_s: float) -> bool:
        """Whether the start button was pressed just now; asked once, it is used up."""
        age_s, self._started_s = now_s - self._started_s, -math.inf
        return 0.0 <= age_s <= self._limits.start_age_s

    def velocity_command(self, now_s: float) -> FloatArray | None:
        """What the sticks ask for: vx [m/s], vy [m/s], wz [rad/s], inside the command range.

        None while the remote is silent: then nothing is asked for, and the loop's VelocityCommand
        ages to zero.
        """
        reading = self._latest
        if reading is None or not self.silent_s(now_s) <= self._limits.remote_silent_s:
            return None
        beyond = RemoteReading(
            reading.pressed,
            (self._beyond_band(reading.left[0]), self._beyond_band(reading.left[1])),
            (self._beyond_band(reading.right[0]), self._beyond_band(reading.right[1])),
        )
        # A stick in its middle asks for 0, even of a policy that knows forward only.
        upper, lower = np.maximum(self._range.upper, 0.0), np.minimum(self._range.lower, 0.0)
        asked = beyond.velocity_command(
            (float(upper[0]), float(upper[1]), float(upper[2])),
            (float(lower[0]), float(lower[1]), float(lower[2])),
        )
        return self._range.clip(asked)

    def _beyond_band(self, stick: float) -> float:
        """The stick's way beyond its dead band: 0 inside, growing from there to 1 at its end."""
        band = self._limits.stick_dead_band
        if not math.fabs(stick) > band:
            return 0.0
        return math.copysign((math.fabs(stick) - band) / (1.0 - band), stick)
