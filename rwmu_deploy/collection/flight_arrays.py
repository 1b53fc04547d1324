"""Ticks as a handful of arrays and a short document, and back, without the loss of a bit.

What every tick has stands in the arrays; what few have (failures, calls, stops, verdicts) stands
in the document, by number of the tick. T = ticks, N = different samples, J = joints, O = size of
an observation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.action import action_from_target
from rwmu_deploy.contract.observation import observation_size
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import JointCommand, RobotState
from rwmu_deploy.runtime.flight_record import ArmRecord, DisarmRecord, Failure, TickRecord
from rwmu_deploy.runtime.safety_monitor import SafetyState, Verdict
from rwmu_deploy.runtime.tick_report import Phase, TickReport
from rwmu_deploy.runtime.uncertainty_monitor import MonitorLevel, MonitorReading
from rwmu_deploy.runtime.velocity_command import VelocityMemory

PHASES: tuple[Phase, ...] = ("disarmed", "stand_up", "policy")
NO_SAMPLE = -1
NOT_ASKED, ANSWERED, UNUSABLE = range(3)
"""The policy was not asked, or raised; it gave numbers, one a joint; it gave something else."""
_VERDICTS = ("guard_verdicts", "conditions")
_READING = ("uncertainty", "jump", "drift", "fall_probability", "command_factor")
_MOST_ODD = 1_000_000
_TICKS_AT_ONCE = 32


@dataclass(frozen=True)
class Layout:
    """Which arrays a flight has."""

    spec: RobotSpec
    ticks: int
    samples: int

    def table(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Name -> number type and shape."""
        t, n, j = self.ticks, self.samples, self.spec.joint_count
        return {
            "tick_index": ("i8", (t,)),
            "now_s": ("f8", (t,)),
            "skipped": ("i8", (t,)),
            "sample": ("i4", (t,)),
            "used_sample": ("i4", (t,)),
            "fresh": ("?", (t,)),
            "sensor_age_s": ("f8", (t,)),
            "asked_command": ("f8", (t, 3)),
            "asked_command_s": ("f8", (t,)),
            "velocity_command": ("f8", (t, 3)),
            "observed": ("?", (t,)),
            "observation": ("f4", (t, observation_size(self.spec))),
            "reported_observation": ("?", (t,)),
            "answered": ("i1", (t,)),
            "answer": ("f8", (t, j)),
            "acted": ("?", (t,)),
            "guard_factor": ("f8", (t,)),
            "monitor_level": ("i1", (t,)),
            "monitor_is_warm": ("?", (t,)),
            "monitor": ("f8", (t, len(_READING))),
            "looks": ("i4", (t,)),
            "sends": ("i4", (t,)),
            "phase": ("i1", (t,)),
            "state": ("i1", (t,)),
            "reasons": ("i4", (t,)),
            "fell": ("?", (t,)),
            "position_rad": ("f8", (t, j)),
            "kp_nm_per_rad": ("f8", (t, j)),
            "kd_nms_per_rad": ("f8", (t, j)),
            "sample_received_s": ("f8", (n,)),
            **{
                f"sample_{name}": ("f8", (n, size))
                for name, size in sample_sizes(self.spec).items()
            },
        }


def sample_sizes(spec: RobotSpec) -> dict[str, int]:
    """Entries of every field of a sample."""
    joints = spec.joint_count
    return {
        "base_linear_velocity_mps": 3,
        "base_angular_velocity_radps": 3,
        "projected_gravity": 3,
        "joint_position_rad": joints,
        "joint_velocity_radps": joints,
        "joint_torque_nm": joints,
        "contact": len(spec.contact_names),
    }


class SampleTable:
    """Gives samples numbers: the same object, the same number, as the gate tells them apart."""

    def __init__(self) -> None:
        self.samples: list[RobotState] = []
        self._numbers: dict[int, int] = {}

    def number(self, sample: RobotState | None) -> int:
        """A sample's number, `NO_SAMPLE` for none."""
        if sample is None:
            return NO_SAMPLE
        number = self._numbers.setdefault(id(sample), len(self.samples))
        if number == len(self.samples):
            self.samples.append(sample)
        return number


def ticks_to_arrays(
    spec: RobotSpec,
    ticks: Sequence[TickRecord],
    table: SampleTable,
    pause: Callable[[], object],
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays as `Layout` has them, and the document; both for `ticks_from_arrays`.

    Args:
        spec: The robot.
        ticks: What is to be written.
        table: Gets the samples.
        pause: Called about every half millisecond of work.
    """
    reasons: dict[tuple[str, ...], int] = {}
    events = []
    rows = []
    # First all that ask for numbers of samples, so that the table is complete.
    for number, tick in enumerate(ticks):
        if number % _TICKS_AT_ONCE == 0:
            pause()
        rows.append(_row(tick, table, reasons))
        event = _event(tick, table)
        if event:
            events.append({"tick": number, **event})
    layout = Layout(spec, len(ticks), len(table.samples)).table()
    arrays: dict[str, NDArray[Any]] = {}
    for name, (kind, shape) in layout.items():
        if name.startswith("sample_"):
            continue
        pause()
        array = np.zeros(shape, dtype=kind)
        for i, row in enumerate(rows):
            value = row[name]
            if value is not None:
                array[i] = value
        arrays[name] = array
    odd = _add_samples(spec, table.samples, arrays, pause)
    return arrays, {"reasons": [list(r) for r in reasons], "events": events, "odd_samples": odd}


def ticks_from_arrays(
    spec: RobotSpec, arrays: Mapping[str, NDArray[Any]], document: Mapping[str, Any]
) -> tuple[list[TickRecord], list[RobotState]]:
    """Read what `ticks_to_arrays` wrote; the arrays have the layout's types and shapes.

    Raises:
        ValueError, KeyError, TypeError, IndexError: They contradict each other.
    """
    samples = _samples(spec, arrays, document["odd_samples"])
    events = {event["tick"]: event for event in document["events"]}
    reasons = [tuple(map(str, entry)) for entry in document["reasons"]]
    for name in ("sample", "used_sample"):
        _within(name, arrays[name], NO_SAMPLE, len(samples))
    for name, most in (("phase", len(PHASES)), ("state", len(SafetyState)), ("answered", 3)):
        _within(name, arrays[name], 0, most)
    _within("reasons", arrays["reasons"], 0, len(reasons))
    _within("monitor_level", arrays["monitor_level"], -1, len(MonitorLevel))
    for name in ("position_rad", "kp_nm_per_rad", "kd_nms_per_rad", "velocity_command"):
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} is not finite")
    if not (np.diff(arrays["tick_index"]) == 1).all():
        raise ValueError("tick_index has a gap")
    if not set(events) <= set(range(len(arrays["now_s"]))):
        raise ValueError("there is an event of no tick")
    ticks = [
        _tick(spec, i, arrays, events.get(i, {}), samples, reasons)
        for i in range(len(arrays["now_s"]))
    ]
    return ticks, samples


def _within(name: str, values: NDArray[Any], low: int, end: int) -> None:
    if not ((values >= low) & (values < end)).all():
        raise ValueError(f"{name} has a number outside {low} to {end - 1}")


def _row(
    tick: TickRecord, table: SampleTable, reasons: dict[tuple[str, ...], int]
) -> dict[str, Any]:
    report, velocity = tick.report, tick.velocity
    assert report is not None
    assert velocity is not None
    answered, answer = _answer(tick, report.command.position_rad.shape)
    reading = report.monitor
    return {
        "tick_index": report.tick_index,
        "now_s": tick.now_s,
        "skipped": tick.skipped,
        "sample": table.number(tick.sample),
        "used_sample": table.number(report.robot_state),
        "fresh": report.fresh,
        "sensor_age_s": report.sensor_age_s,
        "asked_command": velocity.command,
        "asked_command_s": velocity.received_s,
        "velocity_command": report.velocity_command,
        "observed": tick.observation is not None,
        "observation": tick.observation if report.observation is None else report.observation,
        "reported_observation": report.observation is not None,
        "answered": answered,
        "answer": answer,
        "acted": report.raw_action is not None,
        "guard_factor": math.nan if tick.guard_factor is None else tick.guard_factor,
        "monitor_level": -1 if reading is None else int(reading.level),
        "monitor_is_warm": reading is not None and reading.is_warm,
        "monitor": None if reading is None else [getattr(reading, name) for name in _READING],
        "looks": tick.looks,
        "sends": tick.sends,
        "phase": PHASES.index(report.phase),
        "state": int(report.state),
        "reasons": reasons.setdefault(report.reasons, len(reasons)),
        "fell": report.fell,
        "position_rad": report.command.position_rad,
        "kp_nm_per_rad": report.command.kp_nm_per_rad,
        "kd_nms_per_rad": report.command.kd_nms_per_rad,
    }


def _answer(tick: TickRecord, shape: tuple[int, ...]) -> tuple[int, NDArray[np.float64] | None]:
    if tick.observation is None or "policy" in tick.failures:
        return NOT_ASKED, None
    try:
        answer = np.asarray(tick.answer, dtype=np.float64)
    except (TypeError, ValueError) as error:
        # The loop stumbled over it in the same way.
        tick.failures["policy"] = Failure.of(error)
        return NOT_ASKED, None
    return (ANSWERED, answer) if answer.shape == shape else (UNUSABLE, None)


def _event(tick: TickRecord, table: SampleTable) -> dict[str, Any]:
    event: dict[str, Any] = _section_event(tick)
    for name in _VERDICTS:
        if getattr(tick, name):
            event[name] = [[v.state.name, v.fault, v.detail] for v in getattr(tick, name)]
    if tick.guard_fault is not None:
        event["guard_fault"] = tick.guard_fault
    if tick.calls:
        event["calls"] = [_call(call, table) for call in tick.calls]
    return event


def _section_event(section: TickRecord | ArmRecord) -> dict[str, Any]:
    event: dict[str, Any] = {}
    if section.failures:
        event["failures"] = {who: [f.kind, f.message] for who, f in section.failures.items()}
    if section.stop_look is not None:
        event["stop"] = [section.stop_look, section.stop_reason]
    if section.faults:
        event["faults"] = list(section.faults)
    return event


def _call(call: ArmRecord | DisarmRecord, table: SampleTable) -> dict[str, Any]:
    if isinstance(call, DisarmRecord):
        return {"disarm": call.reason}
    return {
        "arm_s": number_to_json(call.now_s),
        "sample": table.number(call.sample),
        "looks": call.looks,
        "refused": call.refused,
        **_section_event(call),
    }


def _add_samples(
    spec: RobotSpec,
    samples: Sequence[RobotState],
    arrays: dict[str, NDArray[Any]],
    pause: Callable[[], object],
) -> list[dict[str, Any]]:
    """Add the samples to the arrays; returns which fields don't have the robot's sizes."""
    odd: list[dict[str, Any]] = []
    arrays["sample_received_s"] = np.array([s.received_s for s in samples], dtype=np.float64)
    for name, size in sample_sizes(spec).items():
        pause()
        array = np.full((len(samples), size), np.nan)
        for number, sample in enumerate(samples):
            values = np.asarray(getattr(sample, name), dtype=np.float64)
            if values.shape == (size,):
                array[number] = values
            else:
                odd.append({"sample": number, "field": name, "shape": list(values.shape)})
        arrays[f"sample_{name}"] = array
    return odd


def _samples(
    spec: RobotSpec, arrays: Mapping[str, NDArray[Any]], odd: Sequence[Mapping[str, Any]]
) -> list[RobotState]:
    names = list(sample_sizes(spec))
    samples = [
        {name: arrays[f"sample_{name}"][number] for name in names}
        for number in range(len(arrays["sample_received_s"]))
    ]
    for entry in odd:
        shape = tuple(int(size) for size in entry["shape"])
        if min(shape, default=0) < 0 or math.prod(shape) > _MOST_ODD:
            raise ValueError(f"a sample has the shape {shape}")
        if entry["field"] not in names or not entry["sample"] >= 0:
            raise ValueError("an odd sample has an unknown field")
        # The gate refuses it for its shape, whatever its numbers are.
        samples[entry["sample"]][entry["field"]] = np.full(shape, np.nan)
    received_s = arrays["sample_received_s"].tolist()
    return [
        RobotState(**fields, received_s=time_s)
        for fields, time_s in zip(samples, received_s, strict=True)
    ]


def _tick(
    spec: RobotSpec,
    i: int,
    arrays: Mapping[str, NDArray[Any]],
    event: Mapping[str, Any],
    samples: Sequence[RobotState],
    reasons: Sequence[tuple[str, ...]],
) -> TickRecord:
    def number(name: str) -> Any:
        return arrays[name][i].item()

    def sample(index: int) -> RobotState | None:
        if not index >= NO_SAMPLE:
            raise ValueError(f"there is no sample {index}")
        return None if index == NO_SAMPLE else samples[index]

    observation = arrays["observation"][i]
    answer = arrays["answer"][i]
    answered = number("answered")
    factor = number("guard_factor")
    report = TickReport(
        tick_index=number("tick_index"),
        now_s=number("now_s"),
        phase=PHASES[number("phase")],
        state=SafetyState(number("state")),
        reasons=reasons[number("reasons")],
        robot_state=sample(number("used_sample")),
        fresh=number("fresh"),
        velocity_command=arrays["velocity_command"][i],
        observation=observation if number("reported_observation") else None,
        raw_action=answer if number("acted") else None,
        applied_action=action_from_target(spec, arrays["position_rad"][i]),
        command=JointCommand(
            arrays["position_rad"][i], arrays["kp_nm_per_rad"][i], arrays["kd_nms_per_rad"][i]
        ),
        fell=number("fell"),
        monitor=_reading(i, arrays),
        skipped=number("skipped"),
        sensor_age_s=number("sensor_age_s"),
    )
    stop_look, stop_reason = event.get("stop", (None, ""))
    return TickRecord(
        now_s=report.now_s,
        sample=sample(number("sample")),
        failures=_failures(event),
        looks=number("looks"),
        stop_look=stop_look,
        stop_reason=str(stop_reason),
        faults=[str(fault) for fault in event.get("faults", ())],
        skipped=report.skipped,
        velocity=VelocityMemory(arrays["asked_command"][i], number("asked_command_s")),
        calls=[_call_again(call, sample) for call in event.get("calls", ())],
        observation=observation if number("observed") else None,
        answer=answer if answered == ANSWERED else np.zeros(0) if answered == UNUSABLE else None,
        guard_verdicts=_verdicts(event, "guard_verdicts"),
        guard_factor=None if math.isnan(factor) else factor,
        guard_fault=event.get("guard_fault"),
        conditions=_verdicts(event, "conditions"),
        sends=number("sends"),
        report=report,
    )


def _reading(i: int, arrays: Mapping[str, NDArray[Any]]) -> MonitorReading | None:
    level = arrays["monitor_level"][i].item()
    if level < 0:
        return None
    numbers = dict(zip(_READING, arrays["monitor"][i].tolist(), strict=True))
    return MonitorReading(
        level=MonitorLevel(level), is_warm=arrays["monitor_is_warm"][i].item(), **numbers
    )


def _failures(event: Mapping[str, Any]) -> dict[str, Failure]:
    failures = event.get("failures", {})
    return {who: Failure(str(kind), str(message)) for who, (kind, message) in failures.items()}


def _verdicts(event: Mapping[str, Any], name: str) -> list[Verdict]:
    return [
        Verdict(SafetyState[state], str(fault), str(detail))
        for state, fault, detail in event.get(name, ())
    ]


def _call_again(call: Mapping[str, Any], sample: Any) -> ArmRecord | DisarmRecord:
    if "disarm" in call:
        return DisarmRecord(str(call["disarm"]))
    stop_look, stop_reason = call.get("stop", (None, ""))
    return ArmRecord(
        now_s=float(call["arm_s"]),
        sample=sample(call["sample"]),
        failures=_failures(call),
        looks=call["looks"],
        stop_look=stop_look,
        stop_reason=str(stop_reason),
        faults=[str(fault) for fault in call.get("faults", ())],
        refused=call["refused"],
    )


def number_to_json(value: float) -> float | str:
    """A number, or its name where JSON has none; `float` reads both."""
    return value if math.isfinite(value) else str(value)
