"""Journals: what was written is read, what was altered is not, whatever happened to the file."""

import numpy as np
import pytest
from made_ticks import HOLD, SPEC, QuickDisk, tick

from rwmu_deploy.collection.journal_reader import read_journal
from rwmu_deploy.collection.row_gap import MissingRow, RowGap
from rwmu_deploy.collection.tick_line import tick_line
from rwmu_deploy.collection.transition_journal import (
    TransitionJournal,
    checked_line,
    gap_line,
    row_line,
)
from rwmu_deploy.collection.transition_row import TransitionRow, TransitionRows
from rwmu_deploy.collection.transition_segment import SegmentOrigin
from rwmu_deploy.contract.errors import LogError

ORIGIN = SegmentOrigin("real", "measured", "estimated", "estimated")
GAP = RowGap().plus(MissingRow("hold", ("sensor_age: 0.07 s, allowed is 0.06 s",), 1))


def rows_from(count: int) -> list[TransitionRow]:
    rows = TransitionRows(SPEC)
    found = [rows.take(tick(k)) for k in range(count + 1)]
    return [row for row in found if isinstance(row, TransitionRow)]


def line_of(row: TransitionRow, index: int) -> bytes:
    return row_line(row, index, tick_line(row.note, 12), begins=row.begins)


@pytest.fixture
def header(tmp_path) -> bytes:
    journal = TransitionJournal(tmp_path / "h", SPEC, ORIGIN, QuickDisk())
    journal.close()
    return journal.path.read_bytes()


@pytest.fixture
def lines() -> list[bytes]:
    return [line_of(row, index) for index, row in enumerate(rows_from(4))]


def read(tmp_path, data: bytes):
    (tmp_path / "j").write_bytes(data)
    return read_journal(tmp_path / "j")


def test_lines_survive_reading_bit_for_bit(tmp_path, header, lines):
    contents = read(tmp_path, header + lines[0] + gap_line(GAP) + lines[1] + gap_line(GAP))
    assert contents.bad_lines == []
    assert contents.header is not None
    assert contents.header["robot_sha256"] == SPEC.sha256
    for found, row in zip(contents.rows, rows_from(2), strict=True):
        assert found.begins == row.begins
        assert found.velocity_command == row.velocity_command
        assert found.tick_line == tick_line(row.note, 12)
        np.testing.assert_array_equal(
            found.values.astype(np.float32), row.values.astype(np.float32)
        )
    assert [row.gap for row in contents.rows] == [RowGap(), GAP]
    assert contents.last_gap == GAP
    assert contents.breaks_off


def test_latest_account_of_a_gap_holds(tmp_path, header, lines):
    longer = GAP.plus(MissingRow("damp"))
    contents = read(tmp_path, header + lines[0] + gap_line(GAP) + gap_line(longer) + lines[1])
    assert contents.rows[1].gap == longer


def test_cut_at_any_byte_gives_no_wrong_row(tmp_path, header, lines):
    data = header + b"".join(lines[:3])
    ends = [len(header) + sum(map(len, lines[:n])) for n in range(4)]
    for size in range(len(header), len(data)):
        contents = read(tmp_path, data[:size])
        assert len(contents.rows) == sum(size >= end for end in ends[1:])
        assert len(contents.bad_lines) == int(size not in ends)
        assert contents.lost_rows == 0, "a torn last line was never acknowledged"


def test_flipped_bit_anywhere_in_a_row_takes_out_that_row_only(tmp_path, header, lines):
    rng = np.random.default_rng(1)
    for position in rng.integers(0, len(lines[1]) - 1, 300):
        bent = bytearray(lines[1])
        bent[position] ^= 1 << int(rng.integers(8))
        contents = read(tmp_path, header + lines[0] + bytes(bent) + lines[2])
        assert len(contents.rows) == 2
        assert len(contents.bad_lines) >= 1
        assert contents.lost_rows == 1
        assert contents.rows[1].begins, "no window may cross the missing row"
        assert contents.rows[1].gap.causes["journal_damaged"].ticks == 1


def test_line_that_vanished_whole_is_missed_by_its_number(tmp_path, header, lines):
    contents = read(tmp_path, header + lines[0] + lines[3])
    assert contents.bad_lines == []
    assert contents.lost_rows == 2
    assert contents.rows[1].begins
    assert contents.rows[1].gap.ticks == 2


def test_line_that_stands_there_twice_is_read_once(tmp_path, header, lines):
    contents = read(tmp_path, header + lines[0] + lines[1] + lines[1] + lines[2])
    assert len(contents.rows) == 3
    assert len(contents.bad_lines) == 1


@pytest.mark.parametrize(
    "body",
    ["R,1,0,1,2,3,", "R,1,0", "R,x,0" + ",0" * 69 + ",", "R,1,0" + ",nan" * 69 + ",", "G,{}",
     "G,[", "R,-1,0" + ",0" * 69 + ","],
)  # fmt: skip
def test_line_with_a_right_checksum_and_wrong_contents_is_bad(tmp_path, header, lines, body):
    contents = read(tmp_path, header + lines[0] + checked_line(body) + lines[1])
    assert len(contents.rows) == 2
    assert [bad.number for bad in contents.bad_lines] == [3]
    assert contents.rows[1].begins


def test_without_a_header_rows_are_refused(tmp_path, lines):
    for data in (
        b"G,00000000\n",
        checked_line('H,{"schema":"other"}'),
        lines[0],
        b"\0" * 99 + b"\n",
    ):
        with pytest.raises(LogError, match="header"):
            read(tmp_path, data)


def test_first_line_that_was_cut_off_holds_no_row(tmp_path, header):
    for size in (0, 1, 100, len(header) - 1):
        contents = read(tmp_path, header[:size])
        assert contents.header is None
        assert contents.rows == []
        assert len(contents.bad_lines) == (size > 0)


def test_journal_of_schema_1_is_still_read(tmp_path, lines):
    numbers = ",".join(["0.25"] * 69)
    old = checked_line('H,{"schema":"rwmu.journal/1","robot":"anymal_d","origin":{}}')
    old += checked_line(f"R,1,{numbers}") + checked_line(f"R,0,{numbers}") + checked_line("G")
    contents = read(tmp_path, old + checked_line("P,state_action_data_3.csv"))
    assert [(row.begins, len(row.values), row.tick_line) for row in contents.rows] == [
        (True, 66, ""),
        (False, 66, ""),
    ]
    assert contents.breaks_off
    assert contents.published == "state_action_data_3.csv"
    assert contents.bad_lines == []


def test_ticks_of_a_held_robot_cost_a_line_a_second(tmp_path):
    from rwmu_deploy.collection.transition_logger import TransitionLogger

    logger = TransitionLogger(tmp_path, SPEC, source="real", disk=QuickDisk(), may_wait=True)
    for k in range(3):
        logger.on_tick(tick(k))
    for k in range(3, 503):
        logger.on_tick(tick(k, state=HOLD))
    while logger._queue.qsize():
        pass
    (journal,) = tmp_path.glob("*.journal")
    assert journal.read_bytes().count(b"\nG,") <= 13
    assert read_journal(journal).last_gap.ticks >= 450, "a crash now would still tell of them"
    logger.close()
