"""Decide again from what was recorded, tick by tick, and say where the decision is another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import JointCommand, RobotState
from rwmu_deploy.runtime.control_loop import ControlLoop
from rwmu_deploy.runtime.flight_record import ArmRecord, Flight, Section, TickRecord
from rwmu_deploy.runtime.loop_witness import LoopWitness
from rwmu_deploy.runtime.robot_link import Policy
from rwmu_deploy.runtime.safety_monitor import SafetyDecision, SafetyMonitor, Verdict
from rwmu_deploy.runtime.tick_report import TickReport
from rwmu_deploy.runtime.uncertainty_monitor import MonitorReading

# Counted by whoever calls from outside, or after the tick: which tick it falls into is chance.
_COUNTED_OUTSIDE = {"stop", "link_send_failed", "velocity_command_unusable", "on_tick_failed"}


_Compared = tuple[str, object, object]
"""What, as recorded, as replayed."""


@dataclass(frozen=True)
class Difference:
    """Something that came out otherwise."""

    tick_index: int
    what: str
    """`state`, `command`, ..."""
    recorded: str
    replayed: str


@dataclass(frozen=True)
class Replay:
    """What came of a replay."""

    reports: Sequence[TickReport]
    """One a tick, as this program decides."""
    differences: Sequence[Difference]
    """In the order of the ticks; empty where all is the same, to the last bit."""

    @property
    def differing_ticks(self) -> int:
        return len({difference.tick_index for difference in self.differences})


def replay_flight(flight: Flight, *, spec: RobotSpec | None = None) -> Replay:
    """Give a new control loop the recorded inputs, and compare all of its outputs.

    Args:
        flight: What was recorded.
        spec: Another robot, such as one with other limits; None: the recorded one.
    """
    facts = flight.facts
    inputs = _Inputs()
    loop = ControlLoop(
        spec or facts.spec,
        inputs,
        inputs,
        command_range=facts.command_range,
        stand_up_s=facts.stand_up_s,
        guard=None if facts.monitor == "off" else _RecordedGuard(inputs),
        observation_range=facts.observation_range,
        conditions=inputs.conditions,
        witness=inputs,
    )
    inputs.loop = loop
    loop.restore(flight.start)
    reports: list[TickReport] = []
    differences: list[Difference] = []
    for tick in flight.ticks:
        assert tick.report is not None
        index = tick.report.tick_index
        for call in tick.calls:
            if isinstance(call, ArmRecord):
                inputs.begin(call)
                differences += _compared(index, [("arming", call.refused, _refusal(loop, call))])
            else:
                loop.disarm(call.reason)
        assert tick.velocity is not None
        loop.set_velocity_command(tick.velocity.command, tick.velocity.received_s)
        before = Counter(loop.counters)
        inputs.begin(tick)
        report = loop.tick(tick.now_s, tick.skipped)
        reports.append(report)
        differences += _compared(index, _outputs(tick, report))
        differences += _compared(index, inputs.asked())
        differences += _compared(index, [_faults(flight, tick, Counter(loop.counters) - before)])
    return Replay(reports, differences)


def action_difference(flight: Flight, policy: Policy) -> float:
    """Largest difference between the recorded actions and those of a policy that is asked again.

    It is asked the recorded observations; 0 where there is none, infinite where it answers with
    something else than numbers.
    """
    worst, joints = 0.0, (flight.facts.spec.joint_count,)
    for tick in flight.ticks:
        if tick.observation is None or not isinstance(tick.answer, np.ndarray):
            continue
        if tick.answer.shape != joints or not np.isfinite(tick.answer).all():
            continue
        difference = np.abs(policy.action(tick.observation) - tick.answer).max()
        worst = max(worst, float(difference) if difference < np.inf else np.inf)
    return worst


class _Inputs(LoopWitness):
    """The recorded link, policy, conditions and stops of one section after the other."""

    def __init__(self) -> None:
        self.loop: ControlLoop | None = None
        self.section: Section = TickRecord(0.0)
        self._seen: NDArray[np.float32] | None = None
        self._looks = 0
        self._sends = 0
        self._is_stopping = False

    @property
    def tick(self) -> TickRecord:
        """The section, of which only a tick asks for what only a tick has."""
        assert isinstance(self.section, TickRecord)
        return self.section

    def begin(self, section: Section) -> None:
        self.section = section
        self._seen = None
        self._looks = self._sends = 0

    def asked(self) -> list[_Compared]:
        """What the tick asked of the outside."""
        return [
            ("asked observation", self.tick.observation, self._seen),
            ("sends", self.tick.sends, self._sends),
        ]

    def fail(self, who: str) -> None:
        failure = self.section.failures.get(who)
        if failure is not None:
            raise failure.again()

    def latest_state(self) -> RobotState | None:
        self.fail("link")
        return self.section.sample

    def send(self, command: JointCommand) -> None:
        if self._is_stopping:
            return
        number, self._sends = self._sends, self._sends + 1
        self.fail(f"send {number}")

    def action(self, observation: NDArray[np.float32]) -> NDArray[np.float64]:
        self._seen = observation
        self.fail("policy")
        if self.tick.observation is None:
            raise LookupError("the recorded policy was not asked here")
        # Usable or not, it is what the loop got.
        return self.tick.answer  # pyright: ignore[reportReturnType]

    def conditions(self) -> Sequence[Verdict]:
        self.fail("conditions")
        return self.tick.conditions

    def look(self, monitor: SafetyMonitor) -> SafetyDecision:
        if self._looks == self.section.stop_look:
            assert self.loop is not None
            self._is_stopping = True
            self.loop.stop(self.section.stop_reason)
            self._is_stopping = False
        self._looks += 1
        return monitor.decision


class _RecordedGuard:
    """The recorded guard."""

    def __init__(self, inputs: _Inputs) -> None:
        self._inputs = inputs

    @property
    def command_factor(self) -> float:
        factor = self._inputs.tick.guard_factor
        return 1.0 if factor is None else factor

    @property
    def reading(self) -> MonitorReading | None:
        report = self._inputs.tick.report
        return None if report is None else report.monitor

    def verdicts(self, now_s: float) -> list[Verdict]:
        self._inputs.fail("guard")
        return list(self._inputs.tick.guard_verdicts)

    def step(
        self,
        now_s: float,
        state: NDArray[np.floating],
        action: NDArray[np.floating],
        *,
        fresh: bool,
    ) -> str | None:
        self._inputs.fail("guard step")
        return self._inputs.tick.guard_fault

    def gap(self) -> None: ...

    def reset(self) -> None: ...


def _refusal(loop: ControlLoop, call: ArmRecord) -> str | None:
    try:
        loop.arm(call.now_s)
    except RobotLinkError as error:
        return str(error)
    return None


def _outputs(tick: TickRecord, report: TickReport) -> list[_Compared]:
    recorded = tick.report
    assert recorded is not None
    return [
        ("state", recorded.state.name, report.state.name),
        ("reasons", recorded.reasons, report.reasons),
        ("phase", recorded.phase, report.phase),
        ("position_rad", recorded.command.position_rad, report.command.position_rad),
        ("kp_nm_per_rad", recorded.command.kp_nm_per_rad, report.command.kp_nm_per_rad),
        ("kd_nms_per_rad", recorded.command.kd_nms_per_rad, report.command.kd_nms_per_rad),
        ("velocity_command", recorded.velocity_command, report.velocity_command),
        ("observation", recorded.observation, report.observation),
        ("raw_action", recorded.raw_action, report.raw_action),
        ("applied_action", recorded.applied_action, report.applied_action),
        ("measurement is the same", True, recorded.robot_state is report.robot_state),
        ("fresh", recorded.fresh, report.fresh),
        ("sensor_age_s", np.array(recorded.sensor_age_s), np.array(report.sensor_age_s)),
        ("fell", recorded.fell, report.fell),
    ]


def _faults(flight: Flight, tick: TickRecord, counted: Counter[str]) -> _Compared:
    inside = [fault for fault in tick.faults if fault not in _COUNTED_OUTSIDE]
    again = [fault for fault in counted.elements() if fault not in _COUNTED_OUTSIDE]
    return "faults", tuple(sorted(inside)), tuple(sorted(again))


def _compared(tick_index: int, outputs: Sequence[_Compared]) -> list[Difference]:
    return [
        Difference(tick_index, what, _shown(recorded), _shown(replayed))
        for what, recorded, replayed in outputs
        if not _same(recorded, replayed)
    ]


def _same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return False
    return a == b


def _shown(value: object) -> str:
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=6, threshold=16, max_line_width=10_000)
    if isinstance(value, tuple):
        return "; ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
