"""How a walking robot follows a velocity command, measured from its own log.

Each of vx, vy, wz goes to gain * command with a time constant, after a delay:
v' = (gain * command - v) / time_constant. Commands themselves change no faster than their ramp.
That is enough to say where a robot will be in a second; the fence adds a margin for the rest.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError

FloatArray = NDArray[np.float64]
STEP_S = 0.05
"""Of the predicted path."""
_SETTLED = 3.0
"""Time constants after which a stopped robot counts as standing (5 % of its speed is left)."""


@dataclass(frozen=True)
class WalkingResponse:
    """Response of vx, vy and wz.

    Raises:
        ConfigError: A number isn't finite, or is out of range.
    """

    gain: tuple[float, float, float]
    time_constant_s: tuple[float, float, float]
    delay_s: float
    ramp_mps2: float = 2.0
    """Fastest change of a commanded vx or vy."""
    ramp_radps2: float = 4.0
    """Fastest change of a commanded wz."""

    def __post_init__(self) -> None:
        allowed = (
            all(0.2 <= gain <= 2.0 for gain in self.gain)
            and all(0.01 <= constant <= 3.0 for constant in self.time_constant_s)
            and 0.0 <= self.delay_s <= 1.0
            and 0.1 <= self.ramp_mps2 <= 100.0
            and 0.1 <= self.ramp_radps2 <= 100.0
        )
        if not allowed:
            raise ConfigError(
                f"walking response {self} is none that can be relied on; allowed are gains of 0.2 "
                "to 2, time constants of 0.01 to 3 s, a delay of 0 to 1 s and ramps of 0.1 to 100",
                fix="Measure it from a log of walking with changing commands.",
            )

    def stopping_distance_m(self, speed_mps: float) -> float:
        """Way until a robot stands that is told to at a speed: of delay, decay and ramp."""
        decay_m = speed_mps * (self.delay_s + max(self.time_constant_s[:2]))
        return decay_m + 0.5 * speed_mps**2 / self.ramp_mps2

    def ramped(self, told: FloatArray, wanted: FloatArray | float, seconds: float) -> FloatArray:
        """The command on its way from one to another, after a time, shape (..., 3)."""
        most = seconds * np.array([self.ramp_mps2, self.ramp_mps2, self.ramp_radps2])
        return told + np.clip(wanted - told, -most, most)

    def path(
        self,
        pose: FloatArray,
        velocity: FloatArray,
        told: FloatArray,
        wanted: FloatArray,
        hold_s: float,
    ) -> tuple[FloatArray, FloatArray]:
        """Where a robot goes that gets a new command for a time, and then is told to stand.

        Args:
            pose: x [m], y [m], yaw [rad], shape (..., 3).
            velocity: vx, vy, wz now, base frame, shape (..., 3).
            told: vx, vy, wz that it is commanded now, shape (..., 3).
            wanted: vx, vy, wz that the command ramps to, shape (..., 3).
            hold_s: Time until it is told to stand; the delay comes on top.

        Returns:
            Positions, shape (T, ..., 2), and poses at the end, shape (..., 3).
        """
        pose, told, wanted = np.asarray(pose), np.asarray(told), np.asarray(wanted)
        ramp = np.array([self.ramp_mps2, self.ramp_mps2, self.ramp_radps2])
        held = math.ceil((hold_s + self.delay_s) / STEP_S - 1e-6)
        largest = np.max(np.abs([told, wanted]), axis=tuple(range(np.ndim(wanted))), initial=0.0)
        stopping_s = float(np.max(largest / ramp)) + _SETTLED * max(self.time_constant_s)
        # What can't be compared gets the longest path, in which nothing is ever found inside.
        steps = held + (math.ceil(stopping_s / STEP_S) if math.isfinite(stopping_s) else 1)

        passed = np.arange(1, steps + 1).reshape(-1, *([1] * wanted.ndim))
        most = STEP_S * ramp * np.minimum(passed, held)
        followed = told + np.clip(wanted - told, -most, most)
        most = STEP_S * ramp * np.maximum(passed - held, 0)
        followed = followed + np.clip(-followed, -most, most)

        keep, take = _first_order(self.time_constant_s, steps)
        goals = np.moveaxis(np.asarray(self.gain) * followed, -1, 0).reshape(3, steps, -1)
        started = np.moveaxis(np.asarray(velocity), -1, 0).reshape(3, 1, -1)
        velocities = (keep[:, :, None] * started + take @ goals).reshape(3, *followed.shape[:-1])
        vx, vy, wz = velocities
        turned = STEP_S * np.cumsum(wz, axis=0)
        yaw = pose[..., 2] + np.concatenate([np.zeros_like(turned[:1]), turned[:-1]])
        cos, sin = np.cos(yaw), np.sin(yaw)
        moved = np.stack([cos * vx - sin * vy, sin * vx + cos * vy], axis=-1)
        positions = pose[..., :2] + STEP_S * np.cumsum(moved, axis=0)
        end = np.concatenate([positions[-1], (pose[..., 2] + turned[-1])[..., None]], axis=-1)
        return positions, end


@functools.cache
def _first_order(
    time_constant_s: tuple[float, float, float], steps: int
) -> tuple[FloatArray, FloatArray]:
    """What is left of the first velocity after T steps, (3, T), and of every goal, (3, T, T)."""
    decay: FloatArray = np.exp(-STEP_S / np.asarray(time_constant_s))[:, None]
    keep = decay ** np.arange(1.0, steps + 1.0)
    behind = np.arange(float(steps))[:, None] - np.arange(float(steps))
    take = np.where(behind >= 0, decay[:, None] ** np.maximum(behind, 0.0), 0.0)
    return keep, (1.0 - decay[:, None]) * take


def fitted_response(commands: FloatArray, velocities: FloatArray, dt_s: float) -> WalkingResponse:
    """The response that explains a log best, by least squares.

    Args:
        commands: vx, vy, wz commanded, shape (N, 3), one row after the other.
        velocities: vx, vy, wz measured, shape (N, 3).
        dt_s: Time between rows.

    Raises:
        ConfigError: The log is too short, a command never changed, or what comes out is no
            response that can be relied on.
    """
    longest = round(0.5 / dt_s)
    if not (len(commands) == len(velocities) >= 10 * longest):
        raise ConfigError(
            f"{len(velocities)} rows can't tell a walking response; allowed are {10 * longest} up",
            fix="Log some minutes of walking with changing commands.",
        )
    best: tuple[float, WalkingResponse] | None = None
    for delay in range(0, longest, max(1, round(0.02 / dt_s))):
        told = commands[longest - delay : len(commands) - 1 - delay]
        now, after = velocities[longest:-1], velocities[longest + 1 :]
        gains, constants, error = [], [], 0.0
        for axis in range(3):
            inputs = np.stack([now[:, axis], told[:, axis]], axis=1)
            (keep, take), *_ = np.linalg.lstsq(inputs, after[:, axis], rcond=None)
            keep = float(np.clip(keep, 0.0, 1.0 - 1e-6))
            gains.append(float(take) / (1.0 - keep))
            constants.append(-dt_s / math.log(max(keep, 1e-6)))
            misses = after[:, axis] - inputs @ np.array([keep, take])
            error += float(np.mean(misses**2) / max(float(np.var(after[:, axis])), 1e-9))
        if best is None or error < best[0]:
            gx, gy, gw = gains
            cx, cy, cw = (max(0.01, constant) for constant in constants)
            best = error, WalkingResponse((gx, gy, gw), (cx, cy, cw), delay * dt_s)
    assert best is not None, "there is a delay of 0"
    return best[1]
