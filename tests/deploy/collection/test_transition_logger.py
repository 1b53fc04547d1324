"""From ticks to journal and CSV."""

import errno
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from rwmu_deploy.collection import transition_journal, transition_logger
from rwmu_deploy.collection.segment_buffer import SegmentBuffer
from rwmu_deploy.collection.transition_journal import checked_line, read_journal, row_line
from rwmu_deploy.collection.transition_logger import TransitionLogger
from rwmu_deploy.collection.transition_row import EpisodeGap, TransitionRow, TransitionRows
from rwmu_deploy.contract.action import action_from_target
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import ConfigError, LogError
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.contract.robot_state import RobotState, damping_command, position_command
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.runtime.clock import ManualClock
from rwmu_deploy.runtime.control_loop import ControlLoop
from rwmu_deploy.runtime.safety_monitor import SafetyState
from rwmu_deploy.runtime.tick_report import Phase, TickReport
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot

RUN, HOLD, DAMP, STOPPED = SafetyState
SPEC = load_robot_spec("anymal_d")
COLUMNS = TransitionColumns.of(SPEC)


@pytest.fixture
def spec() -> RobotSpec:
    return SPEC


def tick(
    index,
    *,
    phase: Phase = "policy",
    state=RUN,
    fresh=True,
    fell=False,
    command=(0.5, 0, 0),
    now_s=0.0,
):
    """A tick whose numbers can be told apart: joint 0 is at default + index / 1000."""
    position = SPEC.default_position_rad + 0.001 * index
    build = damping_command if state >= DAMP else position_command
    return TickReport(
        tick_index=index,
        now_s=now_s or 0.02 * index,
        phase=phase,
        state=state,
        reasons=() if state is RUN else ("test",),
        robot_state=RobotState(
            base_linear_velocity_mps=np.array([0.1, 0.2, 0.3]),
            base_angular_velocity_radps=np.zeros(3),
            projected_gravity=np.array([0.0, 0.0, -1.0]),
            joint_position_rad=position,
            joint_velocity_radps=np.full(12, 0.5),
            joint_torque_nm=np.full(12, 7.0),
            contact=np.array([0, 0, 0, 0, 1, 0, 1, 0], dtype=float),
            received_s=0.02 * index,
        ),
        fresh=fresh,
        velocity_command=np.array(command, dtype=float),
        observation=None,
        raw_action=None,
        applied_action=np.full(12, index / 100),
        command=build(SPEC, position),
        fell=fell,
    )


def events(ticks):
    rows = TransitionRows(SPEC)
    return [rows.take(each) for each in ticks]


def rows_of(found):
    return [event for event in found if isinstance(event, TransitionRow)]


def last_row(ticks):
    row = events(ticks)[-1]
    assert isinstance(row, TransitionRow)
    return row


def kinds(ticks):
    names = {TransitionRow: "row", EpisodeGap: "gap", type(None): "-"}
    found = []
    for event in events(ticks):
        begins = isinstance(event, TransitionRow) and event.begins
        found.append("first" if begins else names[type(event)])
    return found


def spans_of(path):
    lines = path.with_name(path.stem + ".episodes.csv").read_text().splitlines()[1:]
    return [(int(a), int(b), end, *map(float, command)) for a, b, end, *command in _split(lines)]


def _split(lines):
    return [line.split(",") for line in lines]


class TestRows:
    def test_row_is_state_then_the_action_that_produced_it(self):
        row = last_row([tick(4, phase="stand_up"), tick(5)])
        values = row.values
        assert values.shape == (66,)
        np.testing.assert_allclose(values[0:3], [0.1, 0.2, 0.3])
        np.testing.assert_allclose(values[6:9], [0.0, 0.0, -1.0])
        np.testing.assert_allclose(values[9:21], 0.005)
        np.testing.assert_allclose(values[21:33], 0.5)
        np.testing.assert_allclose(values[33:45], 7.0)
        np.testing.assert_allclose(values[45:57], 0.04, err_msg="the action of tick 4")
        np.testing.assert_array_equal(values[57:65], [0, 0, 0, 0, 1, 0, 1, 0])
        assert values[65] == 0.0
        assert row.velocity_command == (0.5, 0.0, 0.0)

    def test_first_walking_tick_after_standing_up_begins_an_episode(self):
        stand_up = [tick(k, phase="stand_up") for k in (1, 2)]
        assert kinds([*stand_up, tick(3), tick(4)]) == ["-", "-", "first", "row"]

    def test_tick_without_a_predecessor_is_no_row(self):
        assert kinds([tick(7), tick(8)]) == ["-", "first"]

    @pytest.mark.parametrize(
        "broken",
        [
            tick(3, state=HOLD),
            tick(3, fresh=False),
            tick(3, state=DAMP),
            replace(tick(3), robot_state=None),
            tick(3, phase="stand_up"),
        ],
    )
    def test_whatever_interrupts_walking_is_a_gap(self, broken):
        assert kinds([tick(1), tick(2), broken])[1:] == ["first", "gap"]

    def test_row_after_hold_has_the_held_action_and_begins_an_episode(self):
        row = last_row([tick(1), tick(2), tick(3, state=HOLD), tick(4)])
        assert row.begins
        np.testing.assert_allclose(row.values[COLUMNS.action.slice], 0.03)

    def test_row_after_damping_is_none_because_no_action_produced_it(self):
        assert kinds([tick(1, state=DAMP), tick(2), tick(3)]) == ["-", "-", "first"]

    def test_skipped_tick_or_index_is_a_gap(self):
        late = [tick(1), tick(2), tick(3, now_s=0.08), tick(4, now_s=0.1)]
        assert kinds(late) == ["-", "first", "gap", "first"]
        assert kinds([tick(1), tick(2), tick(4, now_s=0.06)]) == ["-", "first", "gap"]

    def test_two_ticks_too_close_together_are_a_gap(self):
        assert kinds([tick(1), tick(2), tick(3, now_s=0.05)]) == ["-", "first", "gap"]

    def test_fall_is_the_last_row_of_its_episode(self):
        fall = tick(3, state=DAMP, fell=True, command=(0, 0, 0))
        row = last_row([tick(1), tick(2), fall])
        assert row.values[COLUMNS.termination.slice] == 1.0
        assert not row.begins
        assert row.velocity_command == (0.5, 0.0, 0.0), "the command it fell with"
        after = tick(4, state=DAMP, fell=True)
        assert kinds([tick(1), tick(2), fall, after]) == ["-", "first", "row", "-"]

    def test_fall_without_a_row_before_is_no_row(self):
        assert kinds([tick(1), tick(2, state=DAMP, fell=True)]) == ["-", "-"]

    def test_end_of_the_loop_is_no_gap(self):
        assert kinds([tick(1), tick(2), tick(3, state=STOPPED)]) == ["-", "first", "-"]

    def test_robot_with_extension_columns_is_refused(self):
        with pytest.raises(LogError, match="foot_height"):
            TransitionRows(replace(SPEC, extension_names=("foot_height",)))


class TestSpans:
    def add(self, buffer, commands, fell_at=()):
        for k, command in enumerate(commands):
            row = np.zeros(66)
            row[65] = float(k in fell_at)
            buffer.add(row, command, begins=False)

    def test_command_change_continues_the_episode_in_another_span(self):
        buffer = SegmentBuffer(COLUMNS)
        self.add(buffer, [(0, 0, 0)] * 3 + [(1, 0, 0)] * 2)
        rows, spans = buffer.take()
        assert rows.shape == (5, 66)
        found = [(s.first_row, s.last_row, s.end, s.velocity_command) for s in spans]
        assert found == [(0, 2, "continues", (0, 0, 0)), (3, 4, "truncated", (1, 0, 0))]

    def test_fall_terminates_and_the_next_row_starts_anew(self):
        buffer = SegmentBuffer(COLUMNS)
        self.add(buffer, [(0, 0, 0)] * 4, fell_at=(1,))
        _, spans = buffer.take()
        assert [(s.first_row, s.last_row, s.end) for s in spans] == [
            (0, 1, "terminated"),
            (2, 3, "truncated"),
        ]

    def test_row_that_begins_ends_the_open_episode_with_a_gap(self):
        buffer = SegmentBuffer(COLUMNS)
        self.add(buffer, [(0, 0, 0)] * 2)
        buffer.add(np.zeros(66), (0, 0, 0), begins=True)
        _, spans = buffer.take()
        assert [s.end for s in spans] == ["gap", "truncated"]


def test_walking_robot_becomes_csv_with_the_actions_it_received(tmp_path, spec):
    class Swing:
        def __init__(self):
            self.step = 0

        def action(self, observation):
            self.step += 1
            return 0.1 * np.sin(0.3 * self.step + np.arange(12))

    clock, robot = ManualClock(10.0), SimulatedRobot(spec, start_s=9.0)
    robot.advance(10.0)
    received, states = [], []
    logger = TransitionLogger(tmp_path, spec, source="sim", bundle_sha256="ab", may_wait=True)
    loop = ControlLoop(
        spec,
        Swing(),
        robot,
        command_range=CommandRange((0, 0, 0), (1, 1, 1)),
        stand_up_s=0.1,
        on_tick=logger.on_tick,
    )
    loop.arm(10.0)
    for k in range(126):
        now_s = clock.advance(0.02)
        loop.set_velocity_command([0.5 if k < 60 else 1.0, 0.0, 0.0], now_s)
        robot.advance(now_s)
        report = loop.tick(now_s)
        assert robot._received is not None
        assert report.robot_state is not None
        received.append(robot._received[0].position_rad)
        states.append(report.robot_state.vector(spec))
    loop.stop("end")
    summary = logger.close()
    assert (summary.rows, summary.dropped, summary.failures) == (120, 0, 0)
    data = np.loadtxt(summary.segments[0], delimiter=",", dtype=np.float32)
    assert data.shape == (120, 66)
    actions = action_from_target(spec, np.array(received[5:125])).astype(np.float32)
    np.testing.assert_array_equal(data[:, COLUMNS.action.slice], actions)
    np.testing.assert_array_equal(data[:, :45], np.array(states[6:]).astype(np.float32))
    assert data[:, COLUMNS.contact.slice].max() == 1.0
    assert spans_of(summary.segments[0]) == [
        (0, 53, "continues", 0.5, 0, 0),
        (54, 119, "truncated", 1.0, 0, 0),
    ]
    assert list(tmp_path.glob("*.journal")) == [], "what is published needs no journal"


def log_ticks(folder, ticks, **settings):
    logger = TransitionLogger(folder, SPEC, source="real", **settings)
    for each in ticks:
        logger.on_tick(each)
    return logger.close()


def test_segments_hold_the_asked_number_of_rows_and_the_rest(tmp_path):
    summary = log_ticks(tmp_path, [tick(k) for k in range(1, 27)], rows_per_segment=10)
    assert [len(np.loadtxt(path, delimiter=",", ndmin=2)) for path in summary.segments] == [
        10,
        10,
        5,
    ]
    assert summary.rows == 25
    assert [spans_of(path)[0][2] for path in summary.segments] == ["truncated"] * 3


def test_gap_and_fall_stand_in_the_sidecar(tmp_path):
    ticks = [tick(k) for k in range(1, 5)] + [tick(5, state=HOLD)]
    ticks += [tick(6), tick(7), tick(8, state=DAMP, fell=True)]
    summary = log_ticks(tmp_path, ticks)
    found = [(a, b, end) for a, b, end, *_ in spans_of(summary.segments[0])]
    assert found == [(0, 2, "gap"), (3, 5, "terminated")]


def test_broken_off_episode_at_the_very_end_is_a_gap(tmp_path):
    summary = log_ticks(tmp_path, [tick(1), tick(2), tick(3, state=DAMP), tick(4, state=DAMP)])
    assert spans_of(summary.segments[0])[0][:3] == (0, 0, "gap")


def test_run_without_a_row_leaves_nothing_behind(tmp_path):
    summary = log_ticks(tmp_path, [tick(1, state=DAMP)] * 3)
    assert (summary.rows, summary.segments) == (0, ())
    assert list(tmp_path.iterdir()) == []


def test_full_queue_drops_counts_and_leaves_a_gap(tmp_path, monkeypatch):
    blocked, go_on = threading.Event(), threading.Event()
    original = transition_journal.TransitionJournal.append

    def slow(self, line):
        blocked.set()
        go_on.wait(20.0)
        original(self, line)

    monkeypatch.setattr(transition_journal.TransitionJournal, "append", slow)
    logger = TransitionLogger(tmp_path, SPEC, source="real")
    logger.on_tick(tick(1))
    logger.on_tick(tick(2))
    assert blocked.wait(20.0)
    for k in range(3, 613):
        logger.on_tick(tick(k))
    assert logger.dropped == 110
    go_on.set()
    while logger._queue.qsize():
        go_on.wait(0.01)
    for k in range(613, 623):
        logger.on_tick(tick(k))
    summary = logger.close()
    assert (summary.rows, summary.dropped) == (511, 110)
    found = [(a, b, end) for a, b, end, *_ in spans_of(summary.segments[0])]
    assert found == [(0, 500, "gap"), (501, 510, "truncated")]


class TestJournal:
    def test_lines_survive_reading_bit_for_bit(self, tmp_path):
        rows = rows_of(events([tick(k) for k in range(1, 6)]))
        path = tmp_path / "j"
        header = checked_line('H,{"schema":"rwmu.journal/1"}')
        path.write_bytes(header + b"".join(map(row_line, rows)) + checked_line("G"))
        contents = read_journal(path)
        assert contents.bad_lines == 0
        assert isinstance(contents.events[-1], EpisodeGap)
        for read, row in zip(rows_of(contents.events), rows, strict=True):
            assert read.begins == row.begins
            assert read.velocity_command == row.velocity_command
            np.testing.assert_array_equal(
                read.values.astype(np.float32), row.values.astype(np.float32)
            )

    def test_cut_at_any_byte_gives_no_wrong_row(self, tmp_path):
        rows = rows_of(events([tick(1), tick(2), tick(3)]))
        header = checked_line('H,{"schema":"rwmu.journal/1"}')
        data, path = header + b"".join(map(row_line, rows)), tmp_path / "j"
        ends = [len(header) + sum(len(row_line(r)) for r in rows[:n]) for n in range(3)]
        for size in range(len(header), len(data)):
            path.write_bytes(data[:size])
            contents = read_journal(path)
            assert len(contents.events) == sum(size >= end for end in ends[1:])
            assert contents.bad_lines == int(size not in ends)

    def test_flipped_bit_anywhere_in_a_row_takes_out_that_row_only(self, tmp_path):
        rows = rows_of(events([tick(k) for k in range(1, 5)]))
        header = checked_line('H,{"schema":"rwmu.journal/1"}')
        lines, path, rng = (
            [row_line(row) for row in rows],
            tmp_path / "j",
            np.random.default_rng(1),
        )
        for position in rng.integers(0, len(lines[1]) - 1, 300):
            bent = bytearray(lines[1])
            bent[position] ^= 1 << int(rng.integers(8))
            path.write_bytes(header + lines[0] + bytes(bent) + lines[2])
            contents = read_journal(path)
            assert len(contents.events) == 2
            assert contents.bad_lines >= 1
            assert rows_of(contents.events)[1].begins, "no window may cross the missing row"

    def test_without_a_header_is_refused(self, tmp_path):
        path = tmp_path / "j"
        for data in (b"", b"G,00000000\n", checked_line('H,{"schema":"other"}')):
            path.write_bytes(data)
            with pytest.raises(LogError, match="header"):
                read_journal(path)


class TestDiskTrouble:
    def test_short_writes_are_completed(self, tmp_path, monkeypatch):
        write = os.write
        monkeypatch.setattr(
            transition_journal.os, "write", lambda fd, data: write(fd, data[: len(data) // 3 + 1])
        )
        monkeypatch.setattr(transition_logger, "write_segment", _disk_full)
        summary = log_ticks(tmp_path, [tick(k) for k in range(1, 12)])
        (journal,) = tmp_path.glob("*.journal")
        contents = read_journal(journal)
        assert (len(contents.events), contents.bad_lines) == (10, 0)
        assert summary.unpublished == 10

    @pytest.mark.parametrize("failing", range(1, 13))
    def test_nth_write_failing_half_way_costs_that_line_only(self, tmp_path, monkeypatch, failing):
        write, calls = os.write, []

        def sometimes(fd, data):
            calls.append(1)
            if len(calls) == 2 * failing - 1:
                return write(fd, data[:20])
            if len(calls) == 2 * failing:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(fd, data)

        monkeypatch.setattr(transition_journal.os, "write", sometimes)
        monkeypatch.setattr(transition_logger, "write_segment", _disk_full)
        summary = log_ticks(tmp_path, [tick(k) for k in range(1, 32)])
        assert summary.failures == 2
        (journal,) = tmp_path.glob("*.journal")
        contents = read_journal(journal)
        assert (len(contents.events), contents.bad_lines) == (29, 1)
        assert sum(row.begins for row in rows_of(contents.events)) == (1 if failing == 1 else 2)

    def test_failing_journal_does_not_cost_the_segment(self, tmp_path, monkeypatch):
        def fail(fd, data):
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(transition_journal.os, "write", fail)
        summary = log_ticks(tmp_path, [tick(k) for k in range(1, 12)])
        assert summary.rows == 10
        assert summary.failures == 11

    def test_folder_that_cannot_be_made_is_refused_at_once(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(LogError, match="journal"):
            TransitionLogger(tmp_path / "file" / "log", SPEC, source="real")

    def test_segment_of_no_rows_is_refused(self, tmp_path):
        with pytest.raises(ConfigError, match="segment"):
            TransitionLogger(tmp_path, SPEC, source="real", rows_per_segment=0)

    def test_journal_of_a_crash_is_never_overwritten(self, tmp_path):
        left = tmp_path / "transitions-0.journal"
        left.write_text("precious")
        log_ticks(tmp_path, [tick(1), tick(2)])
        assert left.read_text() == "precious"


def _disk_full(*_):
    raise LogError("no space left", fix="Free the disk.")


_KILLED = """
import sys, time
sys.path.insert(0, sys.argv[2])
from test_transition_logger import SPEC, TransitionLogger, tick
from pathlib import Path
logger = TransitionLogger(Path(sys.argv[1]), SPEC, source="real", may_wait=True)
for k in range(1, 100_000):
    logger.on_tick(tick(k))
    if k % 50 == 0:
        while logger._queue.qsize():
            time.sleep(0.0005)
        print(k, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [50, 200, 400])
def test_killed_process_loses_no_row_handed_to_the_system(tmp_path, acknowledged):
    here = os.path.dirname(__file__)
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(tmp_path), here],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if int(line) >= acknowledged:
                break
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    (journal,) = tmp_path.glob("*.journal")
    contents = read_journal(journal)
    # Tick 1 makes no row, and the writer may still hold the row it took from the queue last.
    assert len(contents.events) >= acknowledged - 2
    assert contents.bad_lines <= 1
    firsts = [row.begins for row in rows_of(contents.events)]
    assert firsts == [True] + [False] * (len(firsts) - 1)
    positions = [row.values[9] for row in rows_of(contents.events)]
    np.testing.assert_allclose(positions, 0.001 * np.arange(2, len(positions) + 2), rtol=1e-6)
