"""One tick: measure, judge, ask the policy, limit, send. Time is passed in, nothing sleeps."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rwmu_deploy.contract.action import action_from_target, target_from_action
from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.observation import build_observation
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import JointCommand, damping_command, position_command
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.runtime.command_limiter import CommandLimiter
from rwmu_deploy.runtime.late_ticks import LateTicks
from rwmu_deploy.runtime.loop_memory import LoopMemory
from rwmu_deploy.runtime.loop_witness import LoopWitness
from rwmu_deploy.runtime.observation_check import ObservationCheck
from rwmu_deploy.runtime.robot_link import Guard, Policy, RobotLink
from rwmu_deploy.runtime.safety_monitor import (
    BAD_IN_A_ROW,
    SafetyDecision,
    SafetyMonitor,
    SafetyState,
    Verdict,
    has_fallen,
    sensor_verdicts,
)
from rwmu_deploy.runtime.sensor_gate import SensorGate, SensorReading
from rwmu_deploy.runtime.stand_up import StandUpRamp, supporting_position_rad
from rwmu_deploy.runtime.tick_report import Phase, TickReport
from rwmu_deploy.runtime.velocity_command import VelocityCommand

FloatArray = NDArray[np.float64]
_logger = logging.getLogger(__name__)


class ControlLoop:
    """The loop between a policy and a robot.

    Every tick sends exactly one command. Its position is finite, inside the joint range, and
    within `safety.command_step_rad` of the previous one; it is a damping command whenever the loop
    isn't armed, or its state is DAMP or STOPPED. What fails in a tick acts in that tick. While
    damping, the position carried along follows
    the measured one, so that arming starts where the robot is.

    The last action in the observation is the action of the target really sent, as in training.

    `stop` and `set_velocity_command` may be called from any thread, `arm` and `disarm` too.

    Args:
        spec: The robot.
        policy: What decides on actions.
        link: The way to the robot.
        command_range: Velocity commands that the policy was trained for.
        stand_up_s: Time from the measured pose to the default pose after arming.
        guard: Watches whether the robot leaves the data of its world model; None: nobody does.
        observation_range: What observations were in training; None: it isn't known.
        conditions: Other reasons not to run, asked at every tick, such as a log that can't be
            written. It must not block.
        on_tick: Called with every report, after the command was sent. It must not block; what it
            raises is counted and logged once, and never disturbs the loop.
        witness: Looks on, such as a flight recorder; None: nobody does.
    """

    def __init__(
        self,
        spec: RobotSpec,
        policy: Policy,
        link: RobotLink,
        *,
        command_range: CommandRange,
        stand_up_s: float = 2.0,
        guard: Guard | None = None,
        observation_range: TrainingRange | None = None,
        conditions: Callable[[], Sequence[Verdict]] | None = None,
        on_tick: Callable[[TickReport], None] | None = None,
        witness: LoopWitness | None = None,
    ) -> None:
        self._spec = spec
        self._witness = witness or LoopWitness()
        self._policy = self._witness.watch_policy(policy)
        self._link = self._witness.watch_link(link)
        self._guard = None if guard is None else self._witness.watch_guard(guard)
        self._conditions = self._witness.watch_conditions(conditions or tuple)
        self._on_tick = on_tick
        self._stand_up_s = stand_up_s
        self._columns = TransitionColumns.of(spec)
        self._gate = SensorGate(spec)
        self._limiter = CommandLimiter(spec)
        self._monitor = SafetyMonitor(spec.safety.recovery_s)
        self._late_ticks = LateTicks(spec.safety)
        self._observations = ObservationCheck(observation_range, spec.safety)
        velocity_age_s = spec.safety.velocity_command_age_s
        # What was asked, from any thread, and what this tick follows of it.
        self._asked_velocity = VelocityCommand(command_range, velocity_age_s)
        self._velocity = VelocityCommand(command_range, velocity_age_s)
        self._ramp = self._ramp_from(spec.default_position_rad)
        self._phase: Phase = "disarmed"
        self._sent_rad: FloatArray = spec.default_position_rad.copy()
        self._command = damping_command(spec, self._sent_rad)
        self._policy_bad_in_a_row = 0
        self._tick_index = 0
        self._newest_now_s = -math.inf
        self._faults: Counter[str] = Counter()
        self._tick_lock = threading.Lock()
        # Reentrant: a stop from a signal handler may interrupt the very thread that holds them.
        self._send_lock = threading.RLock()
        self._fault_lock = threading.RLock()
        self._witness.begins(self.memory)

    @property
    def counters(self) -> dict[str, int]:
        """How often each fault occurred so far."""
        with self._fault_lock:
            return dict(self._faults)

    @property
    def state(self) -> SafetyState:
        """The safety state that holds now."""
        return self._monitor.decision.state

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the state isn't RUN; empty in RUN."""
        return self._monitor.decision.reasons

    @property
    def phase(self) -> Phase:
        """What the loop is doing, as far as its state lets it."""
        return self._phase

    def arm(self, now_s: float) -> None:
        """Leave DAMP: stand up from the measured pose, then follow the policy.

        Raises:
            RobotLinkError: There is no recent, usable measurement inside all limits; or the loop
                is running already, or stopped for good. Nothing changes then.
        """
        with self._tick_lock, self._witness.arming(now_s):
            decision = self._look()
            if decision.state is SafetyState.STOPPED:
                raise RobotLinkError(
                    f"can't arm, stopped by {'; '.join(decision.reasons)}",
                    fix="Find the cause, then start the program again.",
                )
            if decision.state is not SafetyState.DAMP:
                raise RobotLinkError(
                    f"can't arm, the loop is in {decision.state.name} already",
                    fix="Disarm first.",
                )
            reading = self._read(now_s)
            found = [verdict.reason for verdict in sensor_verdicts(self._spec, reading)]
            found += [f"{reading.fault}: sample refused"] if reading.fault else []
            if reading.state is None or found:
                raise RobotLinkError(
                    f"can't arm, {'; '.join(found) or 'no measurement'}",
                    fix="Bring the robot into a healthy pose and check its sensors, then arm.",
                )
            start_rad = supporting_position_rad(self._spec, reading.state)
            self._ramp = self._ramp_from(start_rad)
            self._sent_rad = start_rad
            self._policy_bad_in_a_row = 0
            self._late_ticks.reset()
            self._newest_now_s = now_s
            self._phase = "stand_up"
            if self._guard is not None:
                self._guard.reset()
            self._monitor.arm()

    def disarm(self, reason: str) -> None:
        """Damp from the next tick on, until armed again."""
        with self._tick_lock:
            self._phase = "disarmed"
            self._monitor.damp(reason)
            self._witness.disarmed(reason)

    def set_velocity_command(self, command: ArrayLike, now_s: float) -> None:
        """Ask for a velocity: vx [m/s], vy [m/s], wz [rad/s] in the base frame.

        It is clipped to the command range, and followed from the next tick on. What isn't three
        finite numbers is ignored and counted.
        """
        if not self._asked_velocity.set(command, now_s):
            self._count("velocity_command_unusable")

    def stop(self, reason: str) -> None:
        """Emergency stop: latch STOPPED and send a damping command at once.

        Every further call sends another one, every further tick too.
        """
        with self._send_lock:
            first = self.state is not SafetyState.STOPPED
            with contextlib.ExitStack() as watched:
                try:
                    watched.enter_context(self._witness.stopping(reason, first=first))
                except Exception:
                    _logger.exception("a witness failed; the loop stops all the same")
                self._stop(reason)

    def tick(self, now_s: float, skipped: int = 0) -> TickReport:
        """Do one tick; whatever fails in it never leaves it.

        Args:
            now_s: Monotonic time.
            skipped: Points of the loop's grid that got no tick since the previous one.
        """
        with self._tick_lock:
            try:
                self._velocity.restore(self._asked_velocity.memory)
                self._witness.tick_begins(now_s, skipped, self._velocity.memory)
                report = self._tick(now_s, skipped)
            except Exception as error:
                _logger.exception("a tick failed")
                self._count("program_fault")
                with self._send_lock:
                    with contextlib.suppress(Exception):
                        self._look()  # a stop from outside that came first keeps its reason
                    self._stop(f"program_fault: {type(error).__name__}: {error}")
                report = self._fault_report(now_s, skipped)
            self._tick_index += 1
            try:
                self._witness.tick_ends(report, lambda: self.memory)
            except Exception:
                if self._count("witness_failed") == 1:
                    _logger.exception("a witness failed; the loop goes on")
        if self._on_tick is not None:
            try:
                self._on_tick(report)
            except Exception:
                if self._count("on_tick_failed") == 1:
                    _logger.exception("a listener failed; the loop goes on without it")
        return report

    @property
    def memory(self) -> LoopMemory:
        """All that later ticks depend on, for the thread that ticks, between two of them."""
        return LoopMemory(
            gate=self._gate.memory,
            safety=self._monitor.memory,
            late_ticks=self._late_ticks.memory,
            velocity=self._asked_velocity.memory,
            ramp=self._ramp.memory,
            phase=self._phase,
            sent_rad=self._sent_rad,
            policy_bad_in_a_row=self._policy_bad_in_a_row,
            tick_index=self._tick_index,
            newest_now_s=self._newest_now_s,
            faults=self.counters,
        )

    def restore(self, memory: LoopMemory) -> None:
        """Go on from there, for a replay: no robot is what it was by this."""
        with self._tick_lock:
            self._gate.restore(memory.gate)
            self._monitor.restore(memory.safety)
            self._late_ticks.restore(memory.late_ticks)
            self._asked_velocity.restore(memory.velocity)
            self._ramp.restore(memory.ramp)
            self._phase = memory.phase
            self._sent_rad = memory.sent_rad
            self._policy_bad_in_a_row = memory.policy_bad_in_a_row
            self._tick_index = memory.tick_index
            self._newest_now_s = memory.newest_now_s
            self._faults = Counter(memory.faults)

    def _look(self) -> SafetyDecision:
        """What a step of a tick, or of arming, finds to hold.

        They find it here and nowhere else: it is where a stop from another thread gets in.
        """
        return self._witness.look(self._monitor)

    def _stop(self, reason: str) -> None:
        with self._send_lock:
            if self.state is not SafetyState.STOPPED:
                self._count("stop")
                _logger.warning("stopped: %s", reason)
            self._monitor.stop(reason)
            self._send_to_link(damping_command(self._spec, self._sent_rad))

    def _tick(self, now_s: float, skipped: int) -> TickReport:
        reading = self._read(now_s)
        verdicts = sensor_verdicts(self._spec, reading)
        if self._look().state <= SafetyState.HOLD:
            verdicts += self._other_verdicts(now_s, skipped)
            for verdict in verdicts:
                self._count(verdict.fault)
            self._monitor.update(now_s, verdicts)
        if math.isfinite(now_s):
            self._newest_now_s = max(self._newest_now_s, now_s)

        velocity_command = np.zeros(3)
        observation = raw_action = None
        requested_rad = self._sent_rad
        if self._look().state is SafetyState.RUN:
            if self._phase == "stand_up" and self._ramp.is_over:
                self._phase = "policy"
            if self._phase == "stand_up":
                requested_rad = self._ramp.next_position_rad()
            else:
                velocity_command = self._followed_command(now_s)
                observation = self._observation(reading, velocity_command)
                if self._may_ask(observation):
                    raw_action = self._ask_policy(observation)
                if raw_action is not None:
                    requested_rad = target_from_action(self._spec, raw_action)
        elif self._look().state is not SafetyState.HOLD and reading.state is not None:
            requested_rad = reading.state.joint_position_rad

        # Where the joints are matters for what is newly asked of them, not for what is held.
        measured = reading.state if self._look().state is SafetyState.RUN else None
        limited = self._limiter.limit(requested_rad, self._sent_rad, measured)
        if self._look().state is SafetyState.RUN and limited.was_limited.any():
            self._count("command_limited")
        command = self._send(limited.position_rad)
        applied_action = action_from_target(self._spec, command.position_rad)
        # After the command: what the guard finds holds from the next tick on, and must not delay.
        policy_acts = raw_action is not None and not command.is_damping
        self._watch(now_s, reading, applied_action if policy_acts else None)
        decision = self._look()
        return TickReport(
            tick_index=self._tick_index,
            now_s=now_s,
            skipped=skipped,
            phase=self._phase,
            state=decision.state,
            reasons=decision.reasons,
            robot_state=reading.state,
            fresh=reading.fresh,
            sensor_age_s=reading.age_s,
            velocity_command=velocity_command,
            observation=observation,
            raw_action=raw_action,
            applied_action=applied_action,
            command=command,
            fell=has_fallen(verdicts),
            monitor=None if self._guard is None else self._guard.reading,
        )

    def _other_verdicts(self, now_s: float, skipped: int) -> list[Verdict]:
        verdicts = self._late_ticks.verdicts(now_s, skipped)
        if not now_s >= self._newest_now_s:
            detail = f"{now_s} s after {self._newest_now_s} s"
            verdicts.append(Verdict(SafetyState.DAMP, "clock_went_back", detail))
        if self._guard is not None:
            verdicts += self._guard.verdicts(now_s)
        verdicts += self._conditions()
        return verdicts

    def _read(self, now_s: float) -> SensorReading:
        try:
            sample = self._link.latest_state()
        except Exception:
            if self._count("link_read_failed") == 1:
                _logger.exception("the robot's state can't be read")
            sample = None
        reading = self._gate.check(sample, now_s)
        if reading.fault:
            self._count(reading.fault)
        return reading

    def _followed_command(self, now_s: float) -> FloatArray:
        if self._velocity.is_stale(now_s):
            self._count("velocity_command_stale")
        factor = 1.0 if self._guard is None else self._guard.command_factor
        return factor * self._velocity.at(now_s)

    def _watch(
        self, now_s: float, reading: SensorReading, policy_action: FloatArray | None
    ) -> None:
        """Let the guard follow the policy's ticks; None, where it did not act, is a gap."""
        if self._guard is None:
            return
        state = reading.state
        if state is None or policy_action is None:
            self._guard.gap()
            return
        vector = state.vector(self._spec)
        fault = self._guard.step(now_s, vector, policy_action, fresh=reading.fresh)
        if fault is not None:
            self._count(fault)

    def _observation(
        self, reading: SensorReading, velocity_command: FloatArray
    ) -> NDArray[np.float32]:
        assert reading.state is not None, "RUN needs a measurement"
        last_action = action_from_target(self._spec, self._sent_rad)
        state = reading.state.vector(self._spec)
        return build_observation(self._columns, state, velocity_command, last_action)

    def _may_ask(self, observation: NDArray[np.float32]) -> bool:
        verdict = self._observations.verdict(observation)
        if verdict is None:
            return True
        self._count(verdict.fault)
        self._monitor.damp(verdict.reason)
        return False

    def _ask_policy(self, observation: NDArray[np.float32]) -> FloatArray | None:
        """The policy's action, or None; the third None in a row leads to DAMP."""
        fault = "policy_output_unusable"
        try:
            action = np.asarray(self._policy.action(observation), dtype=np.float64)
            # A comparison that NaN fails too.
            usable = np.abs(action) <= self._spec.safety.action_abs_max
            if action.shape == (self._spec.joint_count,) and usable.all():
                self._policy_bad_in_a_row = 0
                return action
        except Exception:
            fault = "policy_raised"
            _logger.exception("the policy failed")
        self._count(fault)
        self._policy_bad_in_a_row += 1
        if self._policy_bad_in_a_row >= BAD_IN_A_ROW:
            self._monitor.damp(f"{fault}: {self._policy_bad_in_a_row} in a row")
        return None

    def _send(self, position_rad: FloatArray) -> JointCommand:
        """Send a tick's one command; what kind it is, is decided under the lock of `stop`."""
        with self._send_lock:
            allowed = self._look().state <= SafetyState.HOLD
            build = position_command if allowed else damping_command
            command = build(self._spec, position_rad)
            self._send_to_link(command)
            if allowed and self._look().state is SafetyState.STOPPED:
                # Either sending just failed, or a signal handler stopped inside this very block.
                command = damping_command(self._spec, position_rad)
                self._send_to_link(command)
            self._sent_rad = position_rad
            return command

    def _send_to_link(self, command: JointCommand) -> None:
        self._command = command
        try:
            self._link.send(command)
        except Exception as error:
            if self._count("link_send_failed") == 1:
                _logger.exception("a command can't be sent")
            self._monitor.stop(f"link_send_failed: {error}")

    def _fault_report(self, now_s: float, skipped: int) -> TickReport:
        decision = self._monitor.decision
        return TickReport(
            tick_index=self._tick_index,
            now_s=now_s,
            skipped=skipped,
            phase=self._phase,
            state=decision.state,
            reasons=decision.reasons,
            robot_state=None,
            fresh=False,
            sensor_age_s=math.inf,
            velocity_command=np.zeros(3),
            observation=None,
            raw_action=None,
            applied_action=action_from_target(self._spec, self._sent_rad),
            command=self._command,
            fell=False,
        )

    def _ramp_from(self, start_rad: FloatArray) -> StandUpRamp:
        goal_rad = self._spec.default_position_rad
        return StandUpRamp(start_rad, goal_rad, self._stand_up_s, self._spec.control_dt_s)

    def _count(self, fault: str) -> int:
        with self._fault_lock:
            self._faults[fault] += 1
            with contextlib.suppress(Exception):
                self._witness.counted(fault)
            return self._faults[fault]
