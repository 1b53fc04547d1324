"""Run a control loop in real time: a thread on an absolute grid, and a watchdog beside it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.runtime.clock import Clock, MonotonicClock
from rwmu_deploy.runtime.control_loop import ControlLoop
from rwmu_deploy.runtime.ticker import PeriodStatistics, Ticker

FINAL_DAMPING_TICKS = 10
"""Ticks that damp before the thread ends, so that a lost message leaves no position command."""
_logger = logging.getLogger(__name__)


class LoopThread:
    """Ticks a loop every `period_s` until told to stop, and ends by damping, whatever happens.

    A second thread is the watchdog: if no tick ended for `watchdog_s`, it stops the loop and
    repeats the damping command every period until ticks end again. It can't help where the whole
    process hangs; there the robot's own `link_timeout_s` must.

    Args:
        loop: The loop; stopped for good when the thread ends.
        period_s: Time between ticks.
        clock: Monotonic time. The thread really sleeps, so it must run in real time.
        before_tick: Called with the time at the start of each tick, such as a simulated robot's
            `advance`.
        watchdog_s: Longest time without the end of a tick.

    Raises:
        ConfigError: `watchdog_s` is not above `period_s`.
    """

    def __init__(
        self,
        loop: ControlLoop,
        period_s: float,
        *,
        clock: Clock | None = None,
        before_tick: Callable[[float], None] | None = None,
        watchdog_s: float = 0.1,
    ) -> None:
        if not watchdog_s > period_s:
            raise ConfigError(
                f"a watchdog of {watchdog_s} s is too short for ticks every {period_s} s",
                fix="Give it several periods.",
            )
        self._loop = loop
        self._period_s = period_s
        self._clock = clock or MonotonicClock()
        self._before_tick = before_tick
        self._watchdog_s = watchdog_s
        self._stop_reason = "thread ended"
        self._stop_requested = threading.Event()
        self._finished = threading.Event()
        self._tick_ended_s = self._clock.now_s()
        self._skipped = 0
        self.periods = PeriodStatistics(period_s)
        """How regular the ticks were."""
        self._ticker = Ticker(period_s, self._clock.now_s())
        self._thread = threading.Thread(target=self._run, name="control-loop", daemon=True)
        self._watchdog = threading.Thread(target=self._watch, name="loop-watchdog", daemon=True)

    @property
    def overruns(self) -> int:
        """Ticks that took longer than a period, so far."""
        return self._ticker.overruns

    @property
    def skipped(self) -> int:
        """Grid points without a tick, so far."""
        return self._ticker.skipped

    def start(self) -> None:
        """Start ticking."""
        self._tick_ended_s = self._clock.now_s()
        self._ticker = Ticker(self._period_s, self._tick_ended_s)
        self._thread.start()
        self._watchdog.start()

    def request_stop(self, reason: str) -> None:
        """Stop the loop, damp, and end the thread; returns at once."""
        if not self._stop_requested.is_set():
            self._stop_reason = reason
            self._stop_requested.set()

    @property
    def deadline_s(self) -> float:
        """When the next tick is due."""
        return self._ticker.deadline_s

    def step(self) -> None:
        """Do the tick that is due, without the thread: for a clock that is turned by hand."""
        self._tick(record=True)

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; tells whether it came."""
        return self._finished.wait(timeout_s)

    def _run(self) -> None:
        try:
            while not self._wait_until(self._ticker.deadline_s):
                # Where the whole process was frozen, this thread may wake before the watchdog.
                self._stop_if_silent()
                self._tick(record=True)
        except Exception as error:
            _logger.exception("the control thread failed")
            self._stop_reason = f"program_fault: {type(error).__name__}: {error}"
        finally:
            try:
                self._damp()
            finally:
                self._finished.set()

    def _damp(self) -> None:
        self._loop.stop(self._stop_reason)
        pause = threading.Event()
        for _ in range(FINAL_DAMPING_TICKS):
            pause.wait(max(0.0, self._ticker.deadline_s - self._clock.now_s()))
            try:
                self._tick(record=False)
            except Exception:
                _logger.exception("a final tick failed")
                self._loop.stop(self._stop_reason)
                self._ticker.advance(self._clock.now_s())

    def _tick(self, *, record: bool) -> None:
        now_s = self._clock.now_s()
        if record:
            self.periods.record(now_s)
        if self._before_tick is not None:
            self._before_tick(now_s)
        self._loop.tick(now_s, self._skipped)
        # A process that was frozen in mid-tick must not go on as if nothing had been: the watchdog
        # may wake after this.
        self._stop_if_silent()
        self._tick_ended_s = self._clock.now_s()
        self._skipped = self._ticker.advance(self._tick_ended_s).skipped

    def _wait_until(self, deadline_s: float) -> bool:
        """Sleep until a time; true as soon as a stop is requested."""
        while not self._stop_requested.is_set():
            left_s = deadline_s - self._clock.now_s()
            if left_s <= 0.0:
                return False
            self._stop_requested.wait(left_s)
        return True

    def _watch(self) -> None:
        while not self._finished.wait(self._period_s / 2.0):
            self._stop_if_silent()

    def _stop_if_silent(self) -> None:
        silent_s = self._clock.now_s() - self._tick_ended_s
        if not silent_s <= self._watchdog_s:
            self._loop.stop(f"watchdog: no tick ended for {silent_s:.3f} s")
