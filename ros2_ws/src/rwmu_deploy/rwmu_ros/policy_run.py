"""One run of a policy, from activation to deactivation: loop, its thread, and the log."""

from __future__ import annotations

import logging
import time
from typing import Any

from rwmu_deploy.contract.errors import RwmuError
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.patrol.excitation import Excitation, excited
from rwmu_deploy.runtime.arming import ArmingFacts, refuse_unless_fit
from rwmu_deploy.runtime.control_loop import ControlLoop
from rwmu_deploy.runtime.data_guard import DataGuard
from rwmu_deploy.runtime.loop_thread import LoopThread
from rwmu_deploy.runtime.safety_monitor import Verdict, roll_pitch_rad
from rwmu_deploy.runtime.tick_report import TickReport
from rwmu_ros.commander_watch import CommanderWatch
from rwmu_ros.flight_log import FlightLog
from rwmu_ros.node_link import NodeLink
from rwmu_ros.node_parameters import PolicyNodeParameters
from rwmu_ros.realtime_priority import raise_priority
from rwmu_ros.run_log import RunLog
from rwmu_ros.velocity_topic import VelocityTopic

_JOIN_TIMEOUT_S = 2.0
_STAND = (0.0, 0.0, 0.0)
_log = logging.getLogger(__name__)


class PolicyRun:
    """A policy in charge of a robot. `begin` arms it, `end` damps it; it can't begin twice.

    `stop` and `halt` may be called from any thread, at any time.

    Args:
        bundle: The verified bundle.
        link: The way to the robot.
        velocity: Where the operator's commands come from.
        parameters: What the operator has set.
        guard: The world model on board; None: there is none.
    """

    def __init__(
        self,
        bundle: PolicyBundle,
        link: NodeLink,
        velocity: VelocityTopic,
        parameters: PolicyNodeParameters,
        guard: DataGuard | None,
    ) -> None:
        self._bundle = bundle
        self._link = link
        self._velocity = velocity
        self._parameters = parameters
        self._log = RunLog(bundle, parameters)
        self._flights = FlightLog(bundle, parameters, guard)
        self.last_report: TickReport | None = None
        self.loop = ControlLoop(
            bundle.spec,
            excited(bundle, Excitation(parameters.excitation), bundle.spec, time.time_ns()),
            link,
            command_range=bundle.command_range,
            stand_up_s=parameters.stand_up_s,
            guard=guard,
            observation_range=bundle.observation_range,
            conditions=self._verdicts,
            on_tick=self._on_tick,
            witness=self._flights.recorder,
        )
        self.thread = LoopThread(
            self.loop, bundle.spec.control_dt_s, before_tick=self._take_velocity
        )
        self._commanders: CommanderWatch | None = None
        self._before_halt: tuple[str, list[str]] | None = None
        self._began_s = 0.0
        self.scheduling = "as the system has it"
        """Real-time scheduling: what is in force."""

    @property
    def elapsed_s(self) -> float:
        """Time since the run began."""
        return time.monotonic() - self._began_s

    def begin(self, healthy_s: float, interruption: str) -> None:
        """Check everything, arm, and start the loop's thread.

        Args:
            healthy_s: Time for which the sensors have been healthy without interruption.
            interruption: Why it is not longer.

        Raises:
            RobotLinkError: The robot is not fit to be armed; every failed check is named.
            LogError: The log can't be opened.
        """
        facts = ArmingFacts(
            healthy_s=healthy_s,
            interruption=interruption,
            state=self._link.latest_state(),
            stand_up_s=self._parameters.stand_up_s,
            other_commanders=self._link.other_commanders(),
            bundle_sha256=self._bundle.sha256,
            log_fault=self._log.fault(),
            robot_checks=self._link.arming_checks(time.monotonic()),
        )
        refuse_unless_fit(self._bundle.spec, facts)
        self._raise_priority()
        self._log.open()
        self._velocity.take()  # What was asked before arming is no command.
        self._began_s = time.monotonic()
        try:
            self._flights.open()
            self.loop.arm(self._began_s)
        except RwmuError:
            self._log.close()
            self._flights.close()
            raise
        self.thread.start()
        self._commanders = CommanderWatch(self._link, self.stop)

    def stop(self, reason: str) -> None:
        """Latch STOPPED and send damping at once; damping goes on until `end`."""
        self.loop.stop(reason)

    def halt(self, reason: str) -> None:
        """Stop because the process is about to end; the summary keeps the state before it."""
        if self._before_halt is None:
            self._before_halt = (self.loop.state.name, list(self.loop.reasons))
        self._flights.expect_end()
        self.loop.stop(reason)

    def end(self, reason: str) -> dict[str, Any]:
        """Damp for ten ticks, close the log, and return the run's numbers.

        Then the node is silent, and the robot's own time limit keeps it damped.
        """
        now = (self.loop.state.name, list(self.loop.reasons))
        final_state, final_reasons = self._before_halt or now
        elapsed_s = self.elapsed_s
        self._flights.expect_end()
        self.thread.request_stop(reason)
        if not self.thread.join(_JOIN_TIMEOUT_S):
            _log.error("the control thread did not end within %s s", _JOIN_TIMEOUT_S)
        if self._commanders is not None:
            self._commanders.end()
        log = self._log.close()
        summary = {
            "ended_by": reason,
            "bundle": self._bundle.name,
            "bundle_sha256": self._bundle.sha256,
            "dry_run": self._parameters.dry_run,
            "final_state": final_state,
            "final_reasons": final_reasons,
            **self.numbers(),
            "elapsed_s": round(elapsed_s, 3),
            "period_error_percentiles_ms": [
                round(error_s * 1e3, 4) for error_s in self.thread.periods.percentiles_s()
            ],
            "rows_logged": 0 if log is None else log["rows"],
            "log": log,
            "robot": self._link.numbers(),
            "flights": self._flights.close(),
        }
        self._link.forget()
        return summary

    def numbers(self) -> dict[str, Any]:
        """Timing and counts so far."""
        period = self.thread.periods.errors()
        report = self.last_report
        now_s = time.monotonic()
        return {
            "ticks": 0 if report is None else report.tick_index + 1,
            "elapsed_s": round(self.elapsed_s, 3),
            "median_period_error_ms": round(period.median_s * 1e3, 4),
            "p99_period_error_ms": round(period.p99_s * 1e3, 4),
            "max_period_error_ms": round(period.max_s * 1e3, 4),
            "overruns": self.thread.overruns,
            "skipped_ticks": self.thread.skipped,
            "scheduling": self.scheduling,
            "counters": self.loop.counters,
            "tilt": _tilt_numbers(report),
            "velocity_command": [] if report is None else report.velocity_command.tolist(),
            "monitor": _monitor_numbers(report),
            "log_writing": self._log.numbers(),
            "topics": {
                source.topic: {**source.counts(), "age_s": source.age_s(now_s)}
                for source in self._link.sources
            },
        }

    def _verdicts(self) -> list[Verdict]:
        return [*self._log.verdicts(), *self._link.verdicts(time.monotonic())]

    def _take_velocity(self, now_s: float) -> None:
        """Before a tick: hand over what the operator asked for since the last one."""
        asked, sticks = self._velocity.take(), self._link.velocity_command(now_s)
        if not self._link.may_walk(now_s):
            # What was asked for a moment ago is over too.
            self.loop.set_velocity_command(_STAND, now_s)
        elif sticks is not None:
            self.loop.set_velocity_command(sticks, now_s)
        elif asked is not None:
            self.loop.set_velocity_command(asked.value, asked.received_s)

    def _raise_priority(self) -> None:
        priority = self._parameters.realtime_priority
        if priority:
            is_raised = raise_priority(priority)
            self.scheduling = f"SCHED_FIFO {priority}" if is_raised else "refused, see the log"

    def _on_tick(self, report: TickReport) -> None:
        self.last_report = report
        self._log.on_tick(report)


def _tilt_numbers(report: TickReport | None) -> dict[str, float]:
    if report is None or report.robot_state is None:
        return {}
    roll_rad, pitch_rad = roll_pitch_rad(report.robot_state.projected_gravity)
    return {"roll_rad": round(roll_rad, 4), "pitch_rad": round(pitch_rad, 4)}


def _monitor_numbers(report: TickReport | None) -> dict[str, Any]:
    """Level and statistics, these over their thresholds of caution; empty without a monitor."""
    reading = None if report is None else report.monitor
    if reading is None:
        return {}
    numbers = {k: round(v, 4) for k, v in vars(reading).items() if isinstance(v, float)}
    return {"level": reading.level.name, "is_warm": reading.is_warm, **numbers}
