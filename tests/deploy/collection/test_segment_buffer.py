"""Rows and the spans they fall into."""

import numpy as np
from made_ticks import COLUMNS

from rwmu_deploy.collection.segment_buffer import SegmentBuffer


def add(buffer, commands, fell_at=()):
    for k, command in enumerate(commands):
        row = np.zeros(66)
        row[65] = float(k in fell_at)
        buffer.add(row, command, begins=False)


def test_command_change_continues_the_episode_in_another_span():
    buffer = SegmentBuffer(COLUMNS)
    add(buffer, [(0, 0, 0)] * 3 + [(1, 0, 0)] * 2)
    rows, spans = buffer.take()
    assert rows.shape == (5, 66)
    found = [(s.first_row, s.last_row, s.end, s.velocity_command) for s in spans]
    assert found == [(0, 2, "continues", (0, 0, 0)), (3, 4, "truncated", (1, 0, 0))]


def test_fall_terminates_and_the_next_row_starts_anew():
    buffer = SegmentBuffer(COLUMNS)
    add(buffer, [(0, 0, 0)] * 4, fell_at=(1,))
    _, spans = buffer.take()
    assert [(s.first_row, s.last_row, s.end) for s in spans] == [
        (0, 1, "terminated"),
        (2, 3, "truncated"),
    ]


def test_row_that_begins_ends_the_open_episode_with_a_gap():
    buffer = SegmentBuffer(COLUMNS)
    add(buffer, [(0, 0, 0)] * 2)
    buffer.add(np.zeros(66), (0, 0, 0), begins=True)
    _, spans = buffer.take()
    assert [s.end for s in spans] == ["gap", "truncated"]
