"""Flights reach the disk whole, none is written over, and no disk disturbs the loop."""

from __future__ import annotations

import errno
import os
import threading

import pytest
from drawn_loop import RANGE, Drawn

from rwmu_deploy.collection import flight_writer
from rwmu_deploy.collection.flight_file import flight_to_bytes, read_flight
from rwmu_deploy.collection.flight_writer import FlightWriter
from rwmu_deploy.contract.errors import LogError
from rwmu_deploy.runtime.flight_record import FlightFacts
from rwmu_deploy.runtime.safety_monitor import SafetyState


@pytest.fixture
def facts(spec) -> FlightFacts:
    return FlightFacts(spec, RANGE, stand_up_s=0.02)


@pytest.fixture
def started(facts, tmp_path, light_rig):
    """Makes a rig with a writer of its own, in one folder; all are closed at the end."""
    writers = []

    def start():
        writer = FlightWriter(tmp_path / "flights", facts)
        writer.start()
        writers.append(writer)
        return light_rig(witness=writer.recorder), writer

    yield start
    for writer in writers:
        writer.close()


def fault(rig) -> None:
    rig.walk()
    rig.tick(20)
    kept = rig.robot.latest_state()
    rig.link.sense = lambda state: kept
    rig.tick_until(SafetyState.DAMP)
    rig.link.sense = lambda state: state


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_flight_is_a_file_when_it_is_complete(started, tmp_path):
    rig, writer = started()
    fault(rig)
    rig.tick(101)
    summary = writer.close()
    (path,) = summary.files
    assert (summary.lost, summary.failures) == (0, 0)
    assert flight_writer._NAME.fullmatch(path.name)
    assert names(tmp_path / "flights") == [path.name]
    flight = read_flight(path)
    assert flight.written["rwmu"]
    assert flight.ticks[-1].report.tick_index == rig.report.tick_index - 1 - 2


def test_a_run_that_ends_at_once_leaves_what_there_was(started):
    rig, writer = started()
    fault(rig)
    (path,) = writer.close().files
    assert read_flight(path).ticks[-1].report.tick_index == rig.report.tick_index


def test_a_loop_that_hangs_after_its_fault_is_written_without_its_help(started, monkeypatch):
    monkeypatch.setattr(flight_writer, "_OVERDUE_S", 0.0)
    rig, writer = started()
    fault(rig)
    for _ in range(500):
        if writer.files:
            break
        threading.Event().wait(0.02)
    assert len(writer.files) == 1


def test_a_writer_that_was_never_started_closes_too(facts, tmp_path):
    assert FlightWriter(tmp_path / "flights", facts).close().files == ()
    assert not (tmp_path / "flights").exists()


def test_no_file_is_written_over_whoever_else_writes(started, tmp_path, spec, upright):
    folder = tmp_path / "flights"
    contents = [
        flight_to_bytes(Drawn(spec, upright, seed, danger=0.0).run(3)) for seed in range(4)
    ]
    folder.mkdir()
    # What a crash left behind is not touched either.
    (folder / "flight-20200101T000000Z-7.npz.tmp").write_bytes(b"torn")
    paths: list = []
    threads = [
        threading.Thread(
            target=lambda c=content: paths.extend(
                flight_writer._publish(folder, c) for _ in range(8)
            )
        )
        for content in contents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 32
    found = [path.read_bytes() for path in paths]
    assert all(found.count(content) == 8 for content in contents)
    assert len(names(folder)) == 33
    numbers = [int(flight_writer._NAME.fullmatch(path.name)[1]) for path in paths]
    assert min(numbers) == 8


@pytest.mark.parametrize("bound", ["MOST_FILES", "MOST_FOLDER_BYTES"])
def test_a_full_folder_is_told_during_a_run_and_refused_before_one(
    started, facts, tmp_path, monkeypatch, caplog, bound
):
    rig, writer = started()
    fault(rig)
    writer.close()
    monkeypatch.setattr(flight_writer, bound, 1)
    folder = tmp_path / "flights"
    with pytest.raises(LogError, match=r"allowed are 1\. Move them elsewhere"):
        FlightWriter(folder, facts).start()
    before = names(folder)
    monkeypatch.setattr(FlightWriter, "_prepare", lambda self: None)
    rig, writer = started()
    fault(rig)
    summary = writer.close()
    assert (summary.files, summary.lost) == ((), 1)
    assert "a flight is lost" in caplog.text
    assert names(folder) == before


@pytest.mark.parametrize("call", ["fsync", "rename"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_refuses_costs_the_flight_and_leaves_nothing_torn(
    started, tmp_path, monkeypatch, caplog, call, code
):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    rig, writer = started()
    fault(rig)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        summary = writer.close()
    assert (summary.files, summary.lost) == ((), 1)
    assert os.strerror(code) in caplog.text
    assert names(tmp_path / "flights") == []
    assert rig.tick().state is SafetyState.DAMP


def test_a_disk_that_hangs_is_never_waited_for(started, monkeypatch):
    hold, held = threading.Event(), threading.Event()

    def hang(*_):
        held.set()
        assert hold.wait(30.0)
        return ""

    rig, writer = started()
    monkeypatch.setattr(writer, "_full", hang)
    for number in range(7):
        fault(rig)
        rig.tick(110)
        if number == 0:
            assert held.wait(30.0)
    # One is being written, four wait, and of the rest the loss is told.
    assert writer.lost == 2
    assert rig.loop.counters.keys() == {"sensor_age"}
    with monkeypatch.context() as patch:
        patch.setattr(flight_writer, "CLOSE_S", 0.0)
        given_up = writer.close()
    assert (given_up.files, given_up.lost) == ((), 2 + 4 + 1)
    hold.set()
    assert len(writer.close().files) == 5


def test_a_folder_that_is_a_file_is_refused(facts, tmp_path):
    (tmp_path / "flights").write_text("not a folder")
    with pytest.raises(LogError, match="can't be written to"):
        FlightWriter(tmp_path / "flights", facts).start()
