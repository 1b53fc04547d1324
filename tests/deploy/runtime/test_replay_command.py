"""`rwmu-run replay` from a run that went wrong to an exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_loop import RANGE

from rwmu_deploy.cli.run import main, run
from rwmu_deploy.cli.run_plan import RunPlan
from rwmu_deploy.cli.stop_signals import StopSignals
from rwmu_deploy.collection.flight_file import flight_to_bytes, read_flight
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.runtime.flight_record import Flight, FlightFacts, Trigger
from rwmu_deploy.runtime.flight_recorder import FlightRecorder
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot

BUNDLE = Path(__file__).parents[3] / "exports" / "anymal_d_flat"


class Flail:
    def __init__(self) -> None:
        self.rng = np.random.default_rng(2)

    def action(self, observation: np.ndarray) -> np.ndarray:
        return self.rng.normal(0.0, 4.0, 12)


@pytest.fixture(scope="module")
def fallen(spec, tmp_path_factory) -> Path:
    """The recording of a robot whose policy threw it over."""
    wide = CommandRange((-1, -1, -1), (1, 1, 1))
    plan = RunPlan(spec, Flail(), wide, (0.5, 0.0, 0.0), 20.0, True, None, None)
    folder = tmp_path_factory.mktemp("fallen")
    summary = run(replace(plan, record_folder=folder), StopSignals())
    (path,) = summary["flights"]["files"]
    return Path(path)


def rewritten(path: Path, folder: Path, **changes: object) -> Path:
    flight = read_flight(path)
    facts = replace(flight.facts, **{k: changes.pop(k) for k in list(changes) if k != "ticks"})
    changed = Flight(facts, flight.start, changes.get("ticks", flight.ticks), flight.triggers)
    target = folder / "flight-20261125T120000Z-0.npz"
    target.write_bytes(flight_to_bytes(changed))
    return target


def test_a_fall_is_shown_and_decided_again(fallen, tmp_path, capsys):
    assert main(["replay", str(fallen), "--json", str(tmp_path / "replay.json")]) == 0
    page = capsys.readouterr().out
    assert f"{fallen.name}: anymal_d (simulated, nominal, seed 0)" in page
    document = json.loads((tmp_path / "replay.json").read_text())
    (*_, last) = document["triggers"]
    marked = [line for line in page.splitlines() if line.startswith(">")]
    assert any(f"tick {last['tick_index']:>6}" in line and last["why"][:20] for line in marked)
    assert "are the same in all, to the last bit" in page
    assert (document["same"], document["differing_ticks"]) == (True, 0)
    assert [what["what"] for what in document["happenings"]][:2] == ["arm", "RUN, stand_up"]


def test_a_healthy_run_records_nothing_and_says_so(spec, tmp_path):
    class Stand:
        def action(self, observation: np.ndarray) -> np.ndarray:
            return np.zeros(12)

    wide = CommandRange((-1, -1, -1), (1, 1, 1))
    plan = RunPlan(spec, Stand(), wide, (0.0, 0.0, 0.0), 1.0, True, None, None)
    summary = run(replace(plan, record_folder=tmp_path / "flights"), StopSignals())
    assert summary["flights"] == {"files": [], "lost": 0, "failures": 0}
    assert list((tmp_path / "flights").iterdir()) == []
    assert run(plan, StopSignals())["flights"] is None


def test_the_shipped_bundle_answers_again_what_it_answered(tmp_path, monkeypatch, capsys):
    latest_state, calls = SimulatedRobot.latest_state, [0]

    def lost_after_three_seconds(robot):
        calls[0] += 1
        return latest_state(robot) if calls[0] < 150 else None

    monkeypatch.setattr(SimulatedRobot, "latest_state", lost_after_three_seconds)
    words = ["--bundle", str(BUNDLE), "--fast", "--seconds", "5", "--log", str(tmp_path)]
    assert main(words) == 1
    (path,) = (tmp_path / "flights").iterdir()
    assert f"recorded {path}" in capsys.readouterr().out
    assert main(["replay", str(path), "--bundle", str(BUNDLE)]) == 0
    page = capsys.readouterr().out
    assert "HOLD, policy: sensor_age" in page
    assert "monitor warn" in page
    # Walking began after 101 ticks of standing up, and three ticks used the last measurement.
    assert "policy asked again in 50 ticks: largest difference of an action" in page
    other = rewritten(path, tmp_path, bundle_sha256="0" * 64)
    assert main(["replay", str(other), "--bundle", str(BUNDLE)]) == 2
    assert f"expected is {'0' * 64}" in capsys.readouterr().err


def test_what_comes_out_otherwise_fails_the_command_with_the_first_tick(fallen, tmp_path, capsys):
    ticks = list(read_flight(fallen).ticks)
    for number in (40, 60):
        ticks[number].report = replace(ticks[number].report, reasons=("made up: by a test",))
    other = rewritten(fallen, tmp_path, ticks=ticks)
    assert main(["replay", str(other), "--json", str(tmp_path / "replay.json")]) == 1
    page = capsys.readouterr().out
    assert "2 came out otherwise" in page
    assert "first at tick 40, reasons" in page
    assert "recorded: made up: by a test\n    replayed: none" in page
    found = json.loads((tmp_path / "replay.json").read_text())["differences"]
    assert [difference["tick_index"] for difference in found] == [40, 60]


def test_a_tick_that_hung_is_told(fallen, tmp_path, capsys):
    flight = read_flight(fallen)
    last = flight.ticks[-1].report.tick_index
    hung = replace(
        flight,
        triggers=[Trigger(last + 1, "stop: watchdog")],
        unfinished="asking the policy",
    )
    path = tmp_path / "flight-20261125T120000Z-0.npz"
    path.write_bytes(flight_to_bytes(hung))
    assert main(["replay", str(path)]) == 0
    page = capsys.readouterr().out
    assert "the last tick never ended: it was asking the policy" in page
    assert "stop: watchdog, while the tick hung" in page


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("joint_position_rad", 2.0, "joint_outside_range: "),
        ("joint_velocity_radps", -60.0, "joint_velocity: 60 rad/s"),
    ],
)
def test_the_joint_that_was_the_reason_is_named(
    spec, light_rig, with_value, tmp_path, capsys, field, value, said
):
    recorder = FlightRecorder(FlightFacts(spec, RANGE, stand_up_s=0.02), lambda flight: None)
    rig = light_rig(witness=recorder)
    rig.walk()
    rig.link.sense = lambda state: with_value(state, field, 1, value)
    rig.tick(2)
    path = tmp_path / "flight-20261125T120000Z-0.npz"
    path.write_bytes(flight_to_bytes(recorder.cut()))
    assert main(["replay", str(path)]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if said in line]
    assert line.startswith(">")
    assert line.endswith(f"({spec.joint_names[1]})")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required: FILE"),
        (["nowhere.npz"], "nowhere.npz can't be read"),
        (["FILE", "--json", "no/folder/x.json"], "there is no folder no/folder"),
        (["FILE", "--bundle", "nowhere"], "the flight's policy was no bundle"),
        (["FILE", "--fast"], "unrecognized arguments: --fast"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(fallen, words, said, capsys):
    assert main(["replay", *(str(fallen) if word == "FILE" else word for word in words)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_an_altered_file_is_refused(fallen, tmp_path, capsys):
    content = bytearray(fallen.read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / fallen.name
    path.write_bytes(content)
    assert main(["replay", str(path)]) == 2
    assert "cut or altered" in capsys.readouterr().err
