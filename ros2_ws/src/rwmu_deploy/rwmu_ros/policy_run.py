"""One run of a policy, from activation to deactivation: loop, its thread, and the log."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from rwmu_deploy.collection.transition_logger import TransitionLogger
from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.runtime.control_loop import ControlLoop
from rwmu_deploy.runtime.data_guard import DataGuard
from rwmu_deploy.runtime.loop_thread import LoopThread
from rwmu_deploy.runtime.tick_report import TickReport
from rwmu_ros.node_parameters import PolicyNodeParameters
from rwmu_ros.realtime_priority import raise_priority
from rwmu_ros.topic_link import TopicLink

_JOIN_TIMEOUT_S = 2.0
_log = logging.getLogger(__name__)


class PolicyRun:
    """A policy in charge of a robot. `begin` arms it, `end` damps it; it can't begin twice.

    `stop` and `set_velocity_command` may be called from any thread.
    """

    def __init__(
        self,
        bundle: PolicyBundle,
        link: TopicLink,
        parameters: PolicyNodeParameters,
        guard: DataGuard | None,
    ) -> None:
        self._bundle = bundle
        self._link = link
        self._parameters = parameters
        self._logger: TransitionLogger | None = None
        self.last_report: TickReport | None = None
        self.loop = ControlLoop(
            bundle.spec,
            bundle,
            link,
            command_range=bundle.command_range,
            stand_up_s=parameters.stand_up_s,
            guard=guard,
            observation_range=bundle.observation_range,
            on_tick=self._on_tick,
        )
        self.thread = LoopThread(self.loop, bundle.spec.control_dt_s)
        self._began_s = 0.0

    @property
    def elapsed_s(self) -> float:
        """Time since the run began."""
        return time.monotonic() - self._began_s

    def begin(self) -> None:
        """Arm, open the log, and start the loop's thread.

        Raises:
            RobotLinkError: Another node commands the robot, or the robot is not fit to be armed.
            LogError: The log can't be opened.
        """
        strangers = self._link.other_commanders()
        if strangers:
            raise RobotLinkError(
                f"{', '.join(strangers)} publishes joint commands too",
                fix="End it; a node that was killed is forgotten after some seconds.",
            )
        raise_priority(self._parameters.realtime_priority)
        self._began_s = time.monotonic()
        self.loop.arm(self._began_s)
        if self._parameters.log_dir:
            self._logger = self._open_log(Path(self._parameters.log_dir))
        self.thread.start()

    def stop(self, reason: str) -> None:
        """Latch STOPPED and send damping at once; damping goes on until `end`."""
        self.loop.stop(reason)

    def set_velocity_command(self, command: ArrayLike) -> None:
        """Ask for vx [m/s], vy [m/s], wz [rad/s]."""
        self.loop.set_velocity_command(command, time.monotonic())

    def end(self, reason: str) -> dict[str, Any]:
        """Damp for ten ticks, close the log, and return the run's numbers.

        Then the node is silent, and the robot's own time limit keeps it damped.
        """
        final_state, final_reasons = self.loop.state.name, list(self.loop.reasons)
        elapsed_s = self.elapsed_s
        self.thread.request_stop(reason)
        if not self.thread.join(_JOIN_TIMEOUT_S):
            _log.error("the control thread did not end within %s s", _JOIN_TIMEOUT_S)
        log = self._close_log()
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
            "counters": self.loop.counters,
            "monitor": _monitor_numbers(report),
            "topics": {
                source.topic: {**source.counts(), "age_s": source.age_s(now_s)}
                for source in self._link.sources
            },
        }

    def _on_tick(self, report: TickReport) -> None:
        self.last_report = report
        if self._logger is not None:
            self._logger.on_tick(report)

    def _open_log(self, folder: Path) -> TransitionLogger:
        parameters = self._parameters
        simulated = parameters.log_source == "sim"
        return TransitionLogger(
            folder,
            self._bundle.spec,
            source="sim" if simulated else "real",
            bundle_sha256=self._bundle.sha256,
            torque_source="simulated" if simulated else "measured",
            contact_source=(
                f"topic {parameters.contacts_topic}; bodies that it does not name are 0"
                if parameters.contacts_topic
                else "none; all 0"
            ),
            base_velocity_source="simulated" if simulated else f"topic {parameters.odom_topic}",
            note="dry run: the actions were not sent" if parameters.dry_run else "",
        )

    def _close_log(self) -> dict[str, Any] | None:
        logger, self._logger = self._logger, None
        if logger is None:
            return None
        summary = asdict(logger.close())
        return {**summary, "segments": [str(path) for path in summary["segments"]]}


def _monitor_numbers(report: TickReport | None) -> dict[str, Any]:
    """Level and statistics, these over their thresholds of caution; empty without a monitor."""
    reading = None if report is None else report.monitor
    if reading is None:
        return {}
    numbers = {k: round(v, 4) for k, v in vars(reading).items() if isinstance(v, float)}
    return {"level": reading.level.name, "is_warm": reading.is_warm, **numbers}
