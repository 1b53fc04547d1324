"""Keep the last 30 s of everything that a control loop decided from, and hand them on at a fault.

Pure: no clock, no disk, no thread. A tick costs a few references; what is kept is put into a form
and on a disk by `FlightWriter`, elsewhere and later.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from rwmu_deploy.runtime.flight_ports import (
    WatchedGuard,
    WatchedLink,
    WatchedPolicy,
    watched_conditions,
)
from rwmu_deploy.runtime.flight_record import (
    ArmRecord,
    DisarmRecord,
    Flight,
    FlightFacts,
    Section,
    TickRecord,
    Trigger,
)
from rwmu_deploy.runtime.loop_memory import LoopMemory
from rwmu_deploy.runtime.loop_witness import LoopWitness
from rwmu_deploy.runtime.robot_link import Guard, Policy, RobotLink
from rwmu_deploy.runtime.safety_monitor import SafetyDecision, SafetyMonitor, SafetyState, Verdict
from rwmu_deploy.runtime.tick_report import TickReport
from rwmu_deploy.runtime.velocity_command import VelocityMemory

BEFORE_S = 30.0
"""Kept before a fault, or as much as there was."""
AFTER_S = 2.0
"""Kept after a fault, or as much as there is. Faults in this time fall into the same flight."""
_MEMORY_PERIOD_S = 1.0
_MOST_CALLS = 100
"""Attempts to arm between two ticks that are remembered; of more, the latest."""
_MOST_FAULTS = 1000
"""Between the ends of two ticks: nobody who floods a loop that hangs shall fill the memory."""
_logger = logging.getLogger(__name__)


class FlightRecorder(LoopWitness):
    """Looks on while a control loop runs, and never disturbs it: what fails in here is counted.

    A fault is: the state of an armed robot gets worse, otherwise than by disarming; the loop is
    stopped, otherwise than by a run's ordinary end. `BEFORE_S` before to `AFTER_S` after it become
    a flight.

    Args:
        facts: What never changes.
        on_flight: Called with a flight when it is complete, from within the tick: it must not
            block.
    """

    def __init__(self, facts: FlightFacts, on_flight: Callable[[Flight], None]) -> None:
        self._facts = facts
        self._on_flight = on_flight
        dt_s = facts.spec.control_dt_s
        self._after_ticks = round(AFTER_S / dt_s)
        self._memory_ticks = round(_MEMORY_PERIOD_S / dt_s)
        # So many more that, from the oldest memory on, the whole time is there.
        most = round((BEFORE_S + AFTER_S) / dt_s) + self._memory_ticks
        self._ring: deque[TickRecord] = deque(maxlen=most)
        self._first: LoopMemory | None = None
        self._ticks_since_memory = 0
        self._section: Section | None = None
        self._calls: deque[ArmRecord | DisarmRecord] = deque(maxlen=_MOST_CALLS)
        self._faults: list[str] = []
        self._stops = 0
        self._unseen_stop: str | None = None
        self._is_ending = False
        self._state = SafetyState.DAMP
        self._tick_index = 0
        self._triggers: list[Trigger] = []
        self._ticks_left = 0
        self._lock = threading.RLock()
        self.failures = 0
        """Times that the recorder itself failed."""

    @property
    def is_triggered(self) -> bool:
        """Whether a fault waits to become a flight."""
        return bool(self._triggers)

    def expect_end(self) -> None:
        """A stop from now on is the run's ordinary end, and no fault."""
        self._is_ending = True

    def cut(self) -> Flight | None:
        """The flight of the faults so far, complete or not; None where there was no fault.

        From any thread, such as where a tick hangs, or at the end of a run.
        """
        with self._lock:
            triggers, self._triggers = self._triggers, []
        if not triggers:
            return None
        return self._flight(triggers)

    # What the loop tells.

    def begins(self, memory: LoopMemory) -> None:
        """Remember what the loop begins with."""
        self._first = memory

    def watch_link(self, link: RobotLink) -> RobotLink:
        """The link, watched."""
        return WatchedLink(link, self._current, self._sending)

    def watch_policy(self, policy: Policy) -> Policy:
        """The policy, watched."""
        return WatchedPolicy(policy, self._current)

    def watch_guard(self, guard: Guard) -> Guard:
        """The guard, watched."""
        return WatchedGuard(guard, self._current)

    def watch_conditions(
        self, conditions: Callable[[], Sequence[Verdict]]
    ) -> Callable[[], Sequence[Verdict]]:
        """The conditions, watched."""
        return watched_conditions(conditions, self._current)

    def tick_begins(self, now_s: float, skipped: int, velocity: VelocityMemory) -> None:
        """Open a tick."""
        calls = ()
        if self._calls:
            calls = tuple(self._calls)
            self._calls.clear()
        self._section = TickRecord(now_s, skipped=skipped, velocity=velocity, calls=calls)

    def tick_ends(self, report: TickReport, memory: Callable[[], LoopMemory]) -> None:
        """Close it, and see whether it is a fault."""
        try:
            self._close_tick(report, memory)
        except Exception:
            self.failures += 1
            if self.failures == 1:
                _logger.exception("the flight recorder failed; the loop goes on without it")
            self._begin_anew()

    @contextlib.contextmanager
    def arming(self, now_s: float) -> Iterator[None]:
        """Open and close an attempt to arm."""
        section = ArmRecord(now_s)
        self._section = section
        try:
            yield
            self._state = SafetyState.RUN
        except Exception as error:
            section.refused = str(error)
            raise
        finally:
            self._section = None
            section.faults, self._faults = self._faults, []
            self._calls.append(section)

    def disarmed(self, reason: str) -> None:
        """Note it; the state that follows from it is no fault."""
        self._calls.append(DisarmRecord(reason))
        self._state = max(self._state, SafetyState.DAMP)

    @contextlib.contextmanager
    def stopping(self, reason: str, *, first: bool) -> Iterator[None]:
        """Note a stop; which look of which section finds it first, `look` says."""
        if first:
            self._unseen_stop = reason
            if not self._is_ending:
                self._trigger(f"stop: {reason}")
        self._stops += 1
        try:
            yield
        finally:
            self._stops -= 1

    def look(self, monitor: SafetyMonitor) -> SafetyDecision:
        """Note which look was the first to find a stop."""
        decision = monitor.decision
        section = self._section
        if section is not None:
            if decision.state is SafetyState.STOPPED and self._unseen_stop is not None:
                section.stop_look, section.stop_reason = section.looks, self._unseen_stop
                self._unseen_stop = None
            section.looks += 1
        return decision

    def counted(self, fault: str) -> None:
        """Note a fault."""
        if len(self._faults) < _MOST_FAULTS:
            self._faults.append(fault)

    def _current(self) -> Section | None:
        return self._section

    def _sending(self) -> Section | None:
        # Under the loop's lock for sending, so that a stop elsewhere can't be confused with this.
        return None if self._stops else self._section

    def _close_tick(self, report: TickReport, memory: Callable[[], LoopMemory]) -> None:
        record, self._section = self._section, None
        if not isinstance(record, TickRecord):
            return
        record.faults, self._faults = self._faults, []
        record.report = report
        self._ticks_since_memory += 1
        if self._ticks_since_memory >= self._memory_ticks:
            self._ticks_since_memory = 0
            record.memory = memory()
        self._ring.append(record)
        self._tick_index = report.tick_index + 1
        if self._triggers:
            self._ticks_left -= 1
            if self._ticks_left <= 0:
                flight = self.cut()
                if flight is not None:
                    self._on_flight(flight)
        before, self._state = self._state, report.state
        if report.state > before and record.stop_look is None:
            why = f"{report.state.name}: {'; '.join(report.reasons)}"
            self._trigger(why, report.tick_index)

    def _trigger(self, why: str, tick_index: int | None = None) -> None:
        with self._lock:
            if not self._triggers:
                self._ticks_left = self._after_ticks
            index = self._tick_index if tick_index is None else tick_index
            self._triggers.append(Trigger(index, why))

    def _flight(self, triggers: Sequence[Trigger]) -> Flight | None:
        ticks = list(self._ring)  # in one go, whatever thread adds to it
        start = self._first
        if start is None or len(ticks) == self._ring.maxlen:
            # The first ticks are gone, and with them what the loop began with.
            known = [i for i, tick in enumerate(ticks) if tick.memory is not None]
            if not known:
                return None
            start, ticks = ticks[known[0]].memory, ticks[known[0] + 1 :]
        assert start is not None
        return Flight(self._facts, start, ticks, tuple(triggers), self._unfinished())

    def _unfinished(self) -> str:
        section = self._section
        if not isinstance(section, TickRecord):
            return ""
        if section.sends:
            return "after its command"
        return "reading the sensors" if section.observation is None else "asking the policy"

    def _begin_anew(self) -> None:
        """Ticks can't be decided again across one that is missing."""
        self._section = None
        self._first = None
        self._ring.clear()
        self._ticks_since_memory = self._memory_ticks
