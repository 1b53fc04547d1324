"""A session of collecting on the simulated robot, in real time or faster."""

from __future__ import annotations

import math
import signal
import time
from typing import Any

from rwmu_deploy.cli.run_plan import STAND_UP_S, RunPlan, flight_writer, transition_log
from rwmu_deploy.cli.stop_signals import StopSignals
from rwmu_deploy.cli.terminal_view import TerminalView
from rwmu_deploy.patrol.collect_session import CollectSession
from rwmu_deploy.patrol.session_writer import SessionWriter
from rwmu_deploy.patrol.simulated_session import SimulatedSession
from rwmu_deploy.runtime.clock import ManualClock, MonotonicClock
from rwmu_deploy.runtime.control_loop import ControlLoop
from rwmu_deploy.runtime.loop_thread import FINAL_DAMPING_TICKS, LoopThread
from rwmu_deploy.runtime.tick_report import TickReport
from rwmu_deploy.simulation.odometry_drift import OdometryDrift
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot

SAVE_S = 1.0
"""Between two savings of how far a session is."""
_FAST_SAVE_S = 60.0
"""The same faster than real time, in the robot's time."""


class CollectRun:
    """A session on the simulated robot, from the first tick to the last."""

    def __init__(
        self,
        run: RunPlan,
        session: CollectSession,
        drift: OdometryDrift,
        writer: SessionWriter,
        signals: StopSignals,
    ) -> None:
        self._run, self._session = run, session
        self._writer, self._signals = writer, signals
        self._period_s = run.spec.control_dt_s
        self._clock = ManualClock() if run.fast else MonotonicClock()
        self._robot = SimulatedRobot(
            run.spec, start_s=self._clock.now_s(), variant=run.variant, seed=run.seed
        )
        self._simulated = SimulatedSession(
            session, self._robot, drift, self._period_s, writer.note_look
        )
        self._flights = flight_writer(run)
        self._logger = transition_log(run)
        self._view = TerminalView()

    def to_its_end(self) -> dict[str, Any]:
        """Walk until the plan is done, nothing goes on, or a signal comes; returns the facts."""
        run, logger, flights = self._run, self._logger, self._flights
        assert logger is not None, "a session has a log"
        assert flights is not None, "and records faults"
        try:
            flights.start()
            loop = ControlLoop(
                run.spec,
                run.policy,
                self._simulated,
                command_range=run.command_range,
                stand_up_s=STAND_UP_S,
                guard=run.guard,
                observation_range=run.observation_range,
                on_tick=self._on_tick,
                witness=flights.recorder,
            )
            timing = self._fast(loop) if isinstance(self._clock, ManualClock) else self._real(loop)
        finally:
            log = logger.close()
            recorded = flights.close()
        rows = self._session.rows_before + log.rows + log.unpublished
        final = self._session.progress() | {"rows": rows}
        self._writer.save_progress(final)
        self._view.show(final, now_s=time.monotonic(), last=True)
        told = ("starts", "t_s", "walked_s", "way_m", "rows", "coverage", "events")
        return {
            "session": str(self._writer.folder.path),
            "gave_up": self._simulated.gave_up,
            "put_up": self._simulated.put_up,
            "origins_set": self._simulated.origins_set,
            "farthest_out_m": self._simulated.farthest_out_m,
            **{name: final[name] for name in told},
            "faults": loop.counters,
            **timing,
            "log": log.to_dict(),
            "flights": [str(path) for path in recorded.files],
        }

    def _fast(self, loop: ControlLoop) -> dict[str, Any]:
        clock = self._clock
        assert isinstance(clock, ManualClock), "time is turned by hand"
        shown_s = -math.inf
        while not self._is_over():
            now_s = clock.now_s()
            self._robot.advance(now_s)
            self._simulated.before_tick(loop, now_s)
            loop.tick(now_s)
            clock.advance(self._period_s)
            if now_s - shown_s >= _FAST_SAVE_S:
                shown_s = now_s
                self._keep()
        self._expect_end()
        loop.stop(self._why())
        for _ in range(FINAL_DAMPING_TICKS):
            loop.tick(clock.now_s())
            clock.advance(self._period_s)
        return {"real_time": False}

    def _real(self, loop: ControlLoop) -> dict[str, Any]:
        def before_tick(now_s: float) -> None:
            self._robot.advance_in_real_time(now_s)
            if not self._is_over():
                self._simulated.before_tick(loop, now_s)

        thread = LoopThread(loop, self._period_s, clock=self._clock, before_tick=before_tick)
        thread.start()
        while not (self._is_over() or thread.join(SAVE_S)):
            self._keep()
        self._expect_end()
        thread.request_stop(self._why())
        thread.join()
        periods = thread.periods.errors()
        return {
            "real_time": True,
            "overruns": thread.overruns,
            "skipped_ticks": thread.skipped,
            "dropped_physics_s": self._robot.dropped_s,
            "period_error_p99_s": periods.p99_s,
            "period_error_max_s": periods.max_s,
        }

    def _on_tick(self, report: TickReport) -> None:
        self._simulated.on_tick(report)
        if self._logger is not None:
            self._logger.on_tick(report)

    def _is_over(self) -> bool:
        return self._simulated.is_over or self._signals.number is not None

    def _expect_end(self) -> None:
        if self._flights is not None:
            self._flights.recorder.expect_end()

    def _keep(self) -> None:
        """Save and show how far it is."""
        if self._logger is not None:
            status = self._logger.status
            self._simulated.rows, self._simulated.dropped = status.rows, status.dropped
        progress = self._simulated.progress
        self._writer.save_progress(progress)
        self._view.show(progress, now_s=time.monotonic())

    def _why(self) -> str:
        if self._signals.number is not None:
            return f"signal: {signal.Signals(self._signals.number).name}"
        return self._simulated.gave_up or "session over"
