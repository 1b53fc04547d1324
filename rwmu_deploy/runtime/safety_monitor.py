"""How far the robot may go on: RUN, HOLD, DAMP or STOPPED. The worst verdict wins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import FloatArray
from rwmu_deploy.runtime.sensor_gate import SensorReading

BAD_IN_A_ROW = 3
"""Unusable sensor samples, or unusable policy outputs, in a row: DAMP."""
# Times are sums of periods; their rounding must not move a threshold by a tick.
_TIME_TOLERANCE_S = 1e-6


class SafetyState(IntEnum):
    """In growing severity."""

    RUN = 0
    HOLD = 1
    """The last safe position is held; ends by itself after a healthy time."""
    DAMP = 2
    """No position gain, only damping; ends by arming."""
    STOPPED = 3
    """As DAMP, and final."""


@dataclass(frozen=True)
class Verdict:
    """One check that failed."""

    state: SafetyState
    """What it asks for."""
    fault: str
    """Its name, a key for counting."""
    detail: str
    """The value and its limit."""

    @property
    def reason(self) -> str:
        return f"{self.fault}: {self.detail}"


@dataclass(frozen=True)
class SafetyDecision:
    """What holds from now on."""

    state: SafetyState
    reasons: tuple[str, ...]
    """Why it isn't RUN; empty in RUN."""


@dataclass(frozen=True)
class SafetyMemory:
    """What a monitor knows from earlier verdicts."""

    current: SafetyDecision
    healthy_since_s: float | None
    stopped: SafetyDecision | None


def roll_pitch_rad(projected_gravity: FloatArray) -> tuple[float, float]:
    """Roll and pitch (yaw-pitch-roll angles) from gravity in the base frame, shape (3,)."""
    x, y, z = (float(value) for value in projected_gravity)
    return math.atan2(-y, -z), math.atan2(x, math.hypot(y, z))


def sensor_verdicts(spec: RobotSpec, reading: SensorReading) -> list[Verdict]:
    """Every check of the measurements that fails; an empty list allows RUN."""
    limits = spec.safety
    verdicts: list[Verdict] = []

    def judge(
        fault: str, value: float, unit: str, *, hold: float | None = None, damp: float
    ) -> None:
        if not value <= damp:
            state, limit = SafetyState.DAMP, damp
        elif hold is not None and not value <= hold:
            state, limit = SafetyState.HOLD, hold
        else:
            return
        verdicts.append(Verdict(state, fault, f"{value:.4g} {unit}, allowed is {limit:g} {unit}"))

    judge(
        "sensor_age",
        reading.age_s - _TIME_TOLERANCE_S,
        "s",
        hold=limits.sensor_age_hold_s,
        damp=limits.sensor_age_damp_s,
    )
    judge("bad_sensor_samples", reading.bad_in_a_row, "in a row", damp=BAD_IN_A_ROW - 1)
    judge(
        f"sensor_frozen_{reading.frozen_source}",
        reading.frozen_s + _TIME_TOLERANCE_S,
        "s of equal samples",
        damp=limits.sensor_frozen_damp_s,
    )
    state = reading.state
    if state is None:
        return verdicts
    roll_rad, pitch_rad = roll_pitch_rad(state.projected_gravity)
    judge("tilt_roll", abs(roll_rad), "rad", damp=limits.roll_damp_rad)
    judge("tilt_pitch", abs(pitch_rad), "rad", damp=limits.pitch_damp_rad)
    position_rad = state.joint_position_rad
    outside_rad = np.maximum(spec.lower_rad - position_rad, position_rad - spec.upper_rad)
    judge(
        "joint_outside_range",
        float(outside_rad.max()),
        "rad",
        hold=limits.joint_outside_hold_rad,
        damp=limits.joint_outside_damp_rad,
    )
    judge(
        "joint_velocity",
        float(np.abs(state.joint_velocity_radps).max()),
        "rad/s",
        damp=limits.joint_velocity_damp_radps,
    )
    judge(
        "base_angular_velocity",
        float(np.linalg.norm(state.base_angular_velocity_radps)),
        "rad/s",
        damp=limits.base_angular_velocity_damp_radps,
    )
    return verdicts


def has_fallen(verdicts: Sequence[Verdict]) -> bool:
    """Whether the robot is tilted too far to get back."""
    return any(verdict.fault.startswith("tilt_") for verdict in verdicts)


class SafetyMonitor:
    """The state machine. It starts in DAMP, not armed.

    RUN and HOLD follow the verdicts; HOLD lasts until `recovery_s` passed without one. DAMP stays
    until `arm`. STOPPED stays for good; `stop` may be called from any thread.
    """

    def __init__(self, recovery_s: float) -> None:
        self._recovery_s = recovery_s
        self._current = SafetyDecision(SafetyState.DAMP, ("not_armed: arm first",))
        self._healthy_since_s: float | None = None
        # Apart from _current, so that no update under way can overwrite a stop.
        self._stopped: SafetyDecision | None = None

    @property
    def decision(self) -> SafetyDecision:
        """What holds now."""
        return self._stopped or self._current

    def update(self, now_s: float, verdicts: Sequence[Verdict]) -> SafetyDecision:
        """Take a tick's verdicts into account; one of STOPPED is final, from whatever state."""
        worst = max((verdict.state for verdict in verdicts), default=SafetyState.RUN)
        if worst is SafetyState.STOPPED:
            self.stop(next(v.reason for v in verdicts if v.state is worst))
        before = self._current.state
        if before is not SafetyState.DAMP:
            if worst > SafetyState.RUN:
                reasons = tuple(v.reason for v in verdicts if v.state is worst)
                self._current = SafetyDecision(worst, reasons)
                self._healthy_since_s = None
            elif before is SafetyState.HOLD and self._has_recovered(now_s):
                self._current = SafetyDecision(SafetyState.RUN, ())
        return self.decision

    def arm(self) -> None:
        """From DAMP to RUN. The caller has checked that the robot is fit for it."""
        self._current = SafetyDecision(SafetyState.RUN, ())
        self._healthy_since_s = None

    def damp(self, reason: str) -> None:
        """To DAMP at once."""
        if self._current.state is not SafetyState.DAMP:
            self._current = SafetyDecision(SafetyState.DAMP, (reason,))

    def stop(self, reason: str) -> None:
        """To STOPPED for good; the first reason stays."""
        if self._stopped is None:
            self._stopped = SafetyDecision(SafetyState.STOPPED, (reason,))

    @property
    def memory(self) -> SafetyMemory:
        """All that later decisions depend on."""
        return SafetyMemory(self._current, self._healthy_since_s, self._stopped)

    def restore(self, memory: SafetyMemory) -> None:
        """Go on from there."""
        self._current, self._healthy_since_s = memory.current, memory.healthy_since_s
        self._stopped = memory.stopped

    def _has_recovered(self, now_s: float) -> bool:
        if self._healthy_since_s is None:
            self._healthy_since_s = now_s
        return now_s - self._healthy_since_s >= self._recovery_s - _TIME_TOLERANCE_S
