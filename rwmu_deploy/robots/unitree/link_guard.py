"""What the frames of a G1 allow it to do: RUN, HOLD, DAMP or STOPPED, time passed in.

A frame of a wrong size or checksum never was; a row of them is silence. The same goes for one
whose tick is no newer. Two things are obeyed all the same, of any frame whose checksum fits: the
e-stop chord, and which robot it says it is.

What a humanoid needs and the states don't have is standing still: HOLD keeps the joints where
they are, and so held, this robot falls forward within 1.3 s. So a low battery, and a remote that
has just gone silent, leave the state alone and take the velocity away (`velocity_factor`). A
remote lost for good is DAMP: nobody could stop the robot, and it goes on only when armed.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import FloatArray
from rwmu_deploy.robots.unitree.frames import LOW_STATE, Frame, opened
from rwmu_deploy.robots.unitree.link_limits import LinkLimits
from rwmu_deploy.robots.unitree.low_state import LowState, LowStateReader
from rwmu_deploy.robots.unitree.motor_heat import MotorHeat
from rwmu_deploy.robots.unitree.remote_watch import RemoteWatch, stop_pressed
from rwmu_deploy.robots.unitree.tick_order import TickOrder, TickStep
from rwmu_deploy.runtime.arming import ArmingCheck
from rwmu_deploy.runtime.safety_monitor import (
    BAD_IN_A_ROW,
    SafetyState,
    Verdict,
    sensor_verdicts,
)
from rwmu_deploy.runtime.sensor_gate import FUTURE_TOLERANCE_S, SensorReading

_TIME_TOLERANCE_S = 1e-6


class LinkGuard:
    """Judges frames as they come, and the link whenever asked.

    Args:
        spec: The robot; its joints must be those of the motors.
        command_range: What the remote's sticks may ask for.
        limits: Thresholds that `spec.safety` doesn't have.
    """

    def __init__(
        self, spec: RobotSpec, command_range: CommandRange, limits: LinkLimits | None = None
    ) -> None:
        self._spec = spec
        self._limits = limits = limits or LinkLimits()
        self._reader = LowStateReader(spec)
        self._ticks = TickOrder()
        self._heat = MotorHeat(spec.joint_names, limits)
        self.remote = RemoteWatch(limits, command_range)
        self.counters: Counter[str] = Counter()
        """How often each fault occurred."""
        self.mode_machine: int | None = None
        """What a LowCmd must echo; None before the first frame."""
        self.stopped: Verdict | None = None
        """Why it is over for good; the first reason stays."""
        self._latest: LowState | None = None
        self._received_s = -math.inf
        self._measured = b""
        self._changed_s = -math.inf
        self.last_refusal = ""
        """The latest fault for which a frame was refused."""
        self._refused_in_a_row = 0
        self._worst_row = 0
        self._refusal = ""
        # Grounds to stop an active robot, seen since the link was last judged.
        self._breach: Verdict | None = None
        self._kinematics = "no frame yet"
        self._kinematics_fit = False
        self._battery_percent = math.nan
        self._battery_s = -math.inf

    def take(self, data: bytes, received_s: float) -> LowState | None:
        """Take a frame's bytes, received at `received_s` (monotonic).

        Returns:
            Its measurements; None where they must not be used, which is counted.
        """
        try:
            frame = opened(data, LOW_STATE, "LowState")
        except RobotLinkError:
            return self._refuse("low_state_altered")
        if stop_pressed(frame["wireless_remote"].tobytes()):
            self._stop("remote_e_stop", "L2 and B are pressed on the remote")
        if not self._is_this_robot(frame):
            return self._refuse("low_state_of_other_robot")
        if not (math.isfinite(received_s) and received_s >= self._received_s):
            return self._refuse("low_state_received_before")
        step = self._ticks.take(int(frame["tick"]))
        if step is TickStep.RESTARTED:
            self._note("low_state_restarted", f"the tick went back to {int(frame['tick'])} ms")
        if step not in (TickStep.NEWER, TickStep.RESTARTED):
            return self._refuse(f"low_state_{step.value}")
        try:
            state = self._reader.decode(frame)
        except RobotLinkError as error:
            self._refusal = error.problem
            self._refused_in_a_row += 1
            self._worst_row = max(self._worst_row, self._refused_in_a_row)
            return self._refuse("low_state_not_finite")
        self._refused_in_a_row = 0
        self._accept(frame, state, received_s)
        return state

    def take_battery(self, charge_percent: float, received_s: float) -> None:
        """Take the battery's charge, from its own message; NaN is unknown."""
        self._battery_percent, self._battery_s = charge_percent, received_s

    def judge(self, now_s: float, *, active: bool) -> list[Verdict]:
        """Every reason not to run, once per tick; an empty list allows RUN.

        Args:
            now_s: Monotonic time.
            active: Whether the robot is armed. A robot that isn't may be switched off, started
                again or exchanged: that refuses arming, and ends nothing.
        """
        age_s = self._age_s(now_s)
        if active:
            if self._breach is not None:
                self._stop(self._breach.fault, self._breach.detail)
            if not age_s <= self._limits.link_lost_s + _TIME_TOLERANCE_S:
                self._stop("link_lost", f"no good frame for {age_s:.3f} s")
        found = [] if self.stopped is None else [self.stopped]
        found += self._measurement_verdicts(now_s)
        if self._limits.needs_remote:
            silent_s = self.remote.silent_s(now_s)
            if not silent_s <= self._limits.remote_lost_s + _TIME_TOLERANCE_S:
                detail = f"silent for {silent_s:.3f} s, allowed are {self._limits.remote_lost_s} s"
                found.append(Verdict(SafetyState.DAMP, "remote_lost", detail))
        self._breach, self._worst_row = None, self._refused_in_a_row
        return found

    def arming_checks(self, now_s: float) -> list[ArmingCheck]:
        """Every check that forbids arming; an empty list allows it."""
        checks = [
            ArmingCheck(v.fault, v.detail, "none of it", "Mend it, and wait until it is over.")
            for v in self._measurement_verdicts(now_s)
        ]
        if self.stopped is not None:
            reason = self.stopped.reason
            checks.append(ArmingCheck("stopped", reason, "a fresh start", "Start again."))
        if not self._kinematics_fit:
            allowed = f"{self._limits.mode_machine} and {self._limits.mode_pr}"
            fix = "Use the bundle of this robot; 5 has 29 joints, 4 has 23."
            checks.append(ArmingCheck("mode_machine_mode_pr", self._kinematics, allowed, fix))
        if self._limits.needs_remote and not (
            self.remote.silent_s(now_s) <= self._limits.remote_silent_s
        ):
            value = f"silent for {self.remote.silent_s(now_s):.1f} s"
            checks.append(ArmingCheck("remote", value, "a remote that is heard", "Switch it on."))
        if self._limits.needs_battery and not self._battery_suffices(now_s):
            value = f"{self._battery_percent:g} %, said {now_s - self._battery_s:.1f} s ago"
            allowed = f"above {self._limits.battery_low_percent:g} %, and fresh"
            checks.append(ArmingCheck("battery", value, allowed, "Charge or exchange it."))
        return checks

    def velocity_factor(self, now_s: float) -> float:
        """What any velocity command is multiplied by: 1, or 0 where the robot must stand still."""
        heard = self.remote.silent_s(now_s) <= self._limits.remote_silent_s + _TIME_TOLERANCE_S
        may_walk = (heard or not self._limits.needs_remote) and (
            self._battery_suffices(now_s) or not self._limits.needs_battery
        )
        return 1.0 if may_walk else 0.0

    def velocity_command(self, now_s: float) -> FloatArray | None:
        """What the sticks ask for, shape (3,), as far as it may be followed; None: nothing."""
        asked = self.remote.velocity_command(now_s)
        return asked if asked is None else self.velocity_factor(now_s) * asked

    def _battery_suffices(self, now_s: float) -> bool:
        age_s = now_s - self._battery_s
        return (
            self._limits.battery_low_percent < self._battery_percent <= 100.0
            and -FUTURE_TOLERANCE_S <= age_s <= self._limits.battery_age_s + _TIME_TOLERANCE_S
        )

    def _is_this_robot(self, frame: Frame) -> bool:
        self.mode_machine, mode_pr = int(frame["mode_machine"]), int(frame["mode_pr"])
        self._kinematics = f"{self.mode_machine} and {mode_pr}"
        wanted = (self._limits.mode_machine, self._limits.mode_pr)
        self._kinematics_fit = (self.mode_machine, mode_pr) == wanted
        if not self._kinematics_fit:
            detail = f"mode_machine and mode_pr are {self._kinematics}, allowed are {wanted}"
            self._note("low_state_of_other_robot", detail)
        return self._kinematics_fit

    def _accept(self, frame: Frame, state: LowState, received_s: float) -> None:
        measured = frame["imu_state"].tobytes() + b"".join(
            frame["motor_state"][name].tobytes() for name in ("q", "dq", "tau_est")
        )
        if measured != self._measured:
            self._measured, self._changed_s = measured, received_s
        self._latest, self._received_s = state, received_s
        self._heat.take(state.casing_temperature_c, state.winding_temperature_c)
        fault = self.remote.take(state.remote, received_s)
        if fault is not None:
            self.counters[fault] += 1

    def _measurement_verdicts(self, now_s: float) -> list[Verdict]:
        found = self._heat.verdicts()
        if max(self._worst_row, self._refused_in_a_row) >= BAD_IN_A_ROW:
            found.append(Verdict(SafetyState.DAMP, "low_state_not_finite", self._refusal))
        state = None
        if self._latest is not None:
            # The velocity is somebody else's measurement, and not judged here.
            contact = np.zeros(len(self._spec.contact_names))
            state = self._latest.robot_state(np.zeros(3), contact, self._received_s)
        reading = SensorReading(
            state=state,
            fresh=True,
            age_s=self._age_s(now_s),
            bad_in_a_row=0,
            fault=None,
            frozen_s=0.0 if state is None else self._received_s - self._changed_s,
            frozen_source="low_state",
        )
        found += [
            replace(verdict, fault=f"low_state_{verdict.fault}")
            if verdict.fault == "sensor_age"
            else verdict
            for verdict in sensor_verdicts(self._spec, reading)
        ]
        return found

    def _age_s(self, now_s: float) -> float:
        """Infinite where time itself can't be trusted."""
        age_s = now_s - self._received_s
        return age_s if age_s >= -FUTURE_TOLERANCE_S else math.inf

    def _note(self, fault: str, detail: str) -> None:
        self._breach = self._breach or Verdict(SafetyState.STOPPED, fault, detail)

    def _stop(self, fault: str, detail: str) -> None:
        if self.stopped is None:
            self.counters[fault] += 1
            self.stopped = Verdict(SafetyState.STOPPED, fault, detail)

    def _refuse(self, fault: str) -> None:
        self.counters[fault] += 1
        self.last_refusal = fault
