"""`rwmu-run replay`: decide again from a flight recording, and show what happened at the fault."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rwmu_deploy.cli.command_line import EXIT_FAILED, EXIT_OK, CommandParser
from rwmu_deploy.collection.flight_file import read_flight
from rwmu_deploy.contract.errors import ConfigError, FlightError, LogError
from rwmu_deploy.contract.whole_file import write_whole
from rwmu_deploy.runtime.flight_record import ArmRecord, Flight, TickRecord
from rwmu_deploy.runtime.flight_replay import Replay, action_difference, replay_flight
from rwmu_deploy.runtime.safety_monitor import roll_pitch_rad
from rwmu_deploy.runtime.tick_report import TickReport

ACTION_TOLERANCE = 1e-5
"""Largest difference of an action that another processor may make."""
_BEFORE_TICKS, _AFTER_TICKS = 8, 4
_HEADINGS = (
    "tick", "t s", "state", "phase", "age ms", "roll", "pitch", "vx", "vy", "wz", "action", "data",
)  # fmt: skip
_LEGEND = (
    "> marks a fault; t from the first one; age of the measurement; roll, pitch in rad; velocity "
    "command in m/s and rad/s; largest entry of the policy's action; largest statistic of the "
    "world model, over its threshold of caution"
)


def replay_command(words: Sequence[str]) -> int:
    """Replay a flight, print what happened, and write it as JSON if asked to.

    Returns:
        0 if every tick is the same, 1 if one is not.

    Raises:
        FlightError: The file can't be trusted, or is of another bundle.
        BundleError: The bundle can't be loaded.
        ConfigError, LogError: The arguments are wrong, or the JSON file can't be written.
    """
    parser = CommandParser(
        prog="rwmu-run replay",
        description="Decide again, tick by tick, from the recording of a fault. Exit status: 0 "
        "every tick is the same to the last bit, 1 one is not, 2 bad input.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a flight-*.npz")
    parser.add_argument(
        "--bundle", type=Path, help="ask the policy again too; it must be the recorded bundle"
    )
    parser.add_argument("--json", type=Path, help="write the result to this file too")
    options = parser.parse_args(words)
    if options.json is not None and not options.json.parent.is_dir():
        raise ConfigError(
            f"--json: there is no folder {options.json.parent}", fix="Create it first."
        )
    flight = read_flight(options.file)
    policy = None if options.bundle is None else _policy(flight, options.bundle)
    with _quiet():
        replay = replay_flight(flight)
    difference = None if policy is None else action_difference(flight, policy)
    for line in _page(options.file, flight, replay, difference):
        print(line)
    same = not replay.differences and (difference is None or difference <= ACTION_TOLERANCE)
    if options.json is not None:
        _write(options.json, _document(options.file, flight, replay, difference, same))
    return EXIT_OK if same else EXIT_FAILED


def _policy(flight: Flight, folder: Path) -> Any:
    # Only here: a replay without it needs no onnxruntime.
    from rwmu_deploy.contract.policy_bundle import PolicyBundle

    recorded = flight.facts.bundle_sha256
    if recorded is None:
        raise FlightError("the flight's policy was no bundle", fix="Replay it without --bundle.")
    return PolicyBundle.load(folder, robot=flight.facts.spec, expected_sha256=recorded)


@contextmanager
def _quiet() -> Iterator[None]:
    """The loop says again what it said on the robot; that is in the page already."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _page(path: Path, flight: Flight, replay: Replay, difference: float | None) -> Iterator[str]:
    facts, ticks = flight.facts, flight.ticks
    dt_s = facts.spec.control_dt_s
    policy = f"bundle {facts.bundle} {facts.bundle_sha256[:12]}" if facts.bundle_sha256 else "-"
    written = ", ".join(f"{key} {value}" for key, value in flight.written.items())
    yield f"{path.name}: {facts.spec.name}{f' ({facts.source})' if facts.source else ''}, {policy}"
    yield f"written {written}"
    yield f"{len(ticks)} ticks ({len(ticks) * dt_s:.1f} s), monitor {facts.monitor}"
    if flight.unfinished:
        yield f"the last tick never ended: it was {flight.unfinished}"
    yield ""
    yield "what happened"
    origin_s = _origin_s(flight)
    marked = {trigger.tick_index for trigger in flight.triggers}
    for tick_index, now_s, what in _happenings(flight):
        mark = ">" if tick_index in marked else " "
        yield f"{mark} tick {tick_index:>6}  {now_s - origin_s:+9.3f} s  {what}"
    yield ""
    yield from _table(flight, origin_s)
    yield ""
    yield _verdict(flight, replay)
    for found in replay.differences[:1]:
        yield f"  first at tick {found.tick_index}, {found.what}"
        yield f"    recorded: {found.recorded}"
        yield f"    replayed: {found.replayed}"
    if difference is not None:
        asked = sum(tick.observation is not None for tick in ticks)
        yield (
            f"policy asked again in {asked} ticks: largest difference of an action "
            f"{difference:.3g}, allowed is {ACTION_TOLERANCE:g}"
        )


def _verdict(flight: Flight, replay: Replay) -> str:
    if not replay.differences:
        return (
            f"replayed {len(flight.ticks)} ticks: state, reasons, phase, observation and command "
            "are the same in all, to the last bit"
        )
    return f"replayed {len(flight.ticks)} ticks: {replay.differing_ticks} came out otherwise"


def _origin_s(flight: Flight) -> float:
    first = flight.triggers[0].tick_index if flight.triggers else -1
    times = {t.report.tick_index: t.now_s for t in flight.ticks if t.report is not None}
    return times.get(first, flight.ticks[-1].now_s if flight.ticks else 0.0)


def _happenings(flight: Flight) -> Iterator[tuple[int, float, str]]:
    """Calls from outside, every change of state or phase, and the first of every other fault."""
    state = phase = None
    told = {"stop"}
    last = -1
    for tick in flight.ticks:
        report = tick.report
        assert report is not None
        index, now_s = report.tick_index, tick.now_s
        for call in tick.calls:
            if isinstance(call, ArmRecord):
                yield index, now_s, f"arm: {call.refused}" if call.refused else "arm"
            else:
                yield index, now_s, f"disarm: {call.reason}"
        if tick.stop_look is not None:
            yield index, now_s, f"stop: {tick.stop_reason}"
        told |= {reason.partition(":")[0] for reason in report.reasons}
        new = sorted(set(tick.faults) - told)
        told |= set(new)
        if new:
            yield index, now_s, f"first {', '.join(new)}"
        if (report.state, report.phase) != (state, phase):
            state, phase = report.state, report.phase
            why = f": {'; '.join(report.reasons)}" if report.reasons else ""
            yield index, now_s, f"{state.name}, {phase}{why}{_joint(flight, report)}"
        last = index
    for trigger in flight.triggers:
        if trigger.tick_index > last:
            yield trigger.tick_index, math.nan, f"{trigger.why}, while the tick hung"


def _joint(flight: Flight, report: TickReport) -> str:
    """Which joint the first reason means, where it means one."""
    spec, state = flight.facts.spec, report.robot_state
    fault = report.reasons[0].partition(":")[0] if report.reasons else ""
    if state is None or fault not in ("joint_outside_range", "joint_velocity"):
        return ""
    position_rad = state.joint_position_rad
    outside_rad = np.maximum(spec.lower_rad - position_rad, position_rad - spec.upper_rad)
    speed_radps = np.abs(state.joint_velocity_radps)
    worst = np.argmax(outside_rad if fault == "joint_outside_range" else speed_radps)
    return f" ({spec.joint_names[worst]})"


def _table(flight: Flight, origin_s: float) -> Iterator[str]:
    marked = {trigger.tick_index for trigger in flight.triggers}
    rows: list[tuple[str, tuple[str, ...]]] = [(" ", _HEADINGS)]
    last = None
    for tick in flight.ticks:
        report = tick.report
        assert report is not None
        index = report.tick_index
        if not any(-_AFTER_TICKS <= mark - index <= _BEFORE_TICKS for mark in marked):
            continue
        if last is not None and index > last + 1:
            rows.append((" ", ("...",) + ("",) * (len(_HEADINGS) - 1)))
        last = index
        rows.append((">" if index in marked else " ", _cells(tick, origin_s)))
    widths = [max(len(cells[i]) for _, cells in rows) for i in range(len(_HEADINGS))]
    for mark, cells in rows:
        line = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        yield f"{mark} {line}".rstrip()
    yield _LEGEND


def _cells(tick: TickRecord, origin_s: float) -> tuple[str, ...]:
    report = tick.report
    assert report is not None
    state = report.robot_state
    tilt = ("-", "-") if state is None else tuple(
        f"{angle:+.2f}" for angle in roll_pitch_rad(state.projected_gravity)
    )  # fmt: skip
    age_ms = 1e3 * report.sensor_age_s
    action, monitor = report.raw_action, report.monitor
    statistics = () if monitor is None else (monitor.uncertainty, monitor.jump, monitor.drift)
    return (
        str(report.tick_index),
        f"{tick.now_s - origin_s:+.3f}",
        report.state.name,
        report.phase,
        str(round(age_ms)) if math.isfinite(age_ms) else "-",
        *tilt,
        *(f"{value:+.2f}" for value in report.velocity_command.tolist()),
        "-" if action is None else f"{abs(action).max():.2f}",
        "-" if monitor is None or not monitor.is_warm else f"{max(statistics):.2f}",
    )


def _document(
    path: Path, flight: Flight, replay: Replay, difference: float | None, same: bool
) -> dict[str, Any]:
    return {
        "file": str(path),
        "written": dict(flight.written),
        "robot": flight.facts.spec.name,
        "bundle": flight.facts.bundle,
        "bundle_sha256": flight.facts.bundle_sha256,
        "ticks": len(flight.ticks),
        "unfinished": flight.unfinished,
        "triggers": [vars(trigger) for trigger in flight.triggers],
        "happenings": [
            {"tick_index": index, "now_s": now_s if math.isfinite(now_s) else None, "what": what}
            for index, now_s, what in _happenings(flight)
        ],
        "same": same,
        "differing_ticks": replay.differing_ticks,
        "differences": [vars(found) for found in replay.differences[:100]],
        "largest_action_difference": difference,
    }


def _write(path: Path, document: dict[str, Any]) -> None:
    try:
        write_whole(path, (json.dumps(document, indent=1) + "\n").encode())
    except OSError as error:
        raise LogError(f"{path} can't be written: {error}", fix="Give another path.") from error
