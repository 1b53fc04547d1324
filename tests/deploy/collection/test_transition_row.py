"""Which ticks become rows, what a row says, and why the others are none."""

from dataclasses import replace

import numpy as np
import pytest
from made_ticks import COLUMNS, DAMP, HOLD, SPEC, STOPPED, tick

from rwmu_deploy.collection.row_gap import MissingRow
from rwmu_deploy.collection.transition_row import TransitionRow, TransitionRows


def found_in(ticks):
    rows = TransitionRows(SPEC)
    return [rows.take(each) for each in ticks]


def last_row(ticks) -> TransitionRow:
    row = found_in(ticks)[-1]
    assert isinstance(row, TransitionRow)
    return row


def kinds(ticks):
    """`first` and `row` for rows, the cause for what is none."""
    return [
        found.cause if isinstance(found, MissingRow) else "first" if found.begins else "row"
        for found in found_in(ticks)
    ]


def test_row_is_state_then_the_action_that_produced_it():
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


def test_note_has_time_age_state_and_the_raw_action_of_the_tick_before():
    note = last_row([tick(4, phase="stand_up"), tick(5), tick(6)]).note
    assert note.time_s == pytest.approx(0.04), "two ticks after the first"
    assert note.sensor_age_s == pytest.approx(0.004)
    assert (note.state, note.phase, note.reasons) == ("RUN", "policy", ())
    assert note.raw_action is not None
    np.testing.assert_allclose(note.raw_action, 0.1, err_msg="asked in tick 5, applied as 0.05")


def test_note_has_no_raw_action_where_the_policy_was_not_asked():
    assert last_row([tick(4, phase="stand_up"), tick(5)]).note.raw_action is None


def test_first_walking_tick_after_standing_up_begins_an_episode():
    stand_up = [tick(k, phase="stand_up") for k in (1, 2)]
    assert kinds([*stand_up, tick(3), tick(4)]) == ["stand_up", "stand_up", "first", "row"]


def test_tick_without_a_predecessor_is_no_row():
    assert kinds([tick(7), tick(8)]) == ["first_tick", "first"]


@pytest.mark.parametrize(
    ("broken", "cause"),
    [
        (tick(3, state=HOLD), "hold"),
        (tick(3, fresh=False), "stale_measurement"),
        (tick(3, state=DAMP), "damp"),
        (replace(tick(3), robot_state=None), "no_measurement"),
        (tick(3, phase="stand_up"), "stand_up"),
        (tick(3, phase="disarmed", state=DAMP), "not_armed"),
        (tick(3, state=STOPPED), "stopped"),
    ],
)
def test_whatever_interrupts_walking_is_no_row_and_says_why(broken, cause):
    assert kinds([tick(1), tick(2), broken])[1:] == ["first", cause]


def test_missing_row_carries_the_reasons_of_the_safety_monitor():
    missing = found_in([tick(1), tick(2, state=HOLD, reasons=("sensor_age: 0.08 s",))])[-1]
    assert missing == MissingRow("hold", ("sensor_age: 0.08 s",))


def test_row_after_hold_has_the_held_action_and_begins_an_episode():
    row = last_row([tick(1), tick(2), tick(3, state=HOLD), tick(4)])
    assert row.begins
    np.testing.assert_allclose(row.values[COLUMNS.action.slice], 0.03)


def test_row_after_damping_is_none_because_no_action_produced_it():
    found = kinds([tick(1, state=DAMP), tick(2), tick(3)])
    assert found == ["damp", "after_damping", "first"]


def test_skipped_tick_or_index_is_no_row():
    late = [tick(1), tick(2), tick(3, now_s=0.08), tick(4, now_s=0.1)]
    assert kinds(late) == ["first_tick", "first", "off_grid", "first"]
    assert kinds([tick(1), tick(2), tick(4, now_s=0.06)])[1:] == ["first", "off_grid"]


def test_tick_after_a_skipped_one_is_no_row_even_if_it_seems_on_time():
    assert kinds([tick(1), tick(2), tick(3, skipped=1), tick(4)])[2:] == ["off_grid", "first"]


def test_skipped_periods_are_counted_whatever_the_safety_state():
    late = found_in([tick(1), tick(2), tick(3, skipped=2), tick(4, skipped=1, state=HOLD)])
    assert [each.skipped_periods for each in late if isinstance(each, MissingRow)] == [0, 2, 1]


def test_two_ticks_too_close_together_are_no_row():
    assert kinds([tick(1), tick(2), tick(3, now_s=0.05)])[1:] == ["first", "off_grid"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e9])
def test_time_that_makes_no_sense_is_no_row_and_does_no_harm(bad):
    found = kinds([tick(1, now_s=bad), tick(2), tick(3), tick(4, now_s=bad), tick(5), tick(6)])
    assert found == ["first_tick", "off_grid", "first", "off_grid", "off_grid", "first"]
    note = last_row([tick(1, now_s=bad), tick(2), tick(3)]).note
    assert np.isfinite(note.time_s)


def test_fall_is_the_last_row_of_its_episode():
    fall = tick(3, state=DAMP, fell=True, command=(0, 0, 0))
    row = last_row([tick(1), tick(2), fall])
    assert row.values[COLUMNS.termination.slice] == 1.0
    assert not row.begins
    assert row.velocity_command == (0.5, 0.0, 0.0), "the command it fell with"
    assert row.note.state == "DAMP"
    after = tick(4, state=DAMP, fell=True)
    assert kinds([tick(1), tick(2), fall, after])[1:] == ["first", "row", "damp"]


def test_fall_without_a_row_before_is_no_row():
    assert kinds([tick(1), tick(2, state=DAMP, fell=True)]) == ["first_tick", "damp"]
