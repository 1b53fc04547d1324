"""When a message happened, and what its series is worth in between: computed by hand."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from rwmu_train.bags.control_grid import change_times, control_grid
from rwmu_train.bags.falls import find_falls
from rwmu_train.bags.message_clock import TimedSeries, order_in_time, without_faults
from rwmu_train.bags.message_series import Fault, MessageSeries
from rwmu_train.bags.resampling import hold, interpolate

ORIGIN_NS = 10**18


def timed(
    received_s: Sequence[float],
    stamp_s: Sequence[float] | None = None,
    values: Any = None,
    fault: Sequence[int] | None = None,
) -> TimedSeries:
    count = len(received_s)
    series = MessageSeries(
        topic="/topic",
        type="type",
        received_ns=ORIGIN_NS + np.round(np.array(received_s) * 1e9).astype(np.int64),
        stamp_ns=None
        if stamp_s is None
        else ORIGIN_NS + np.round(np.array(stamp_s) * 1e9).astype(np.int64),
        values=np.arange(count, dtype=float)[:, None] if values is None else np.array(values),
        fault=np.array(fault or [0] * count, dtype=np.int8),
    )
    return order_in_time(series, ORIGIN_NS, tolerance_s=0.02)


def test_stamps_count_though_the_recorder_stalled_for_two_seconds() -> None:
    stamp = np.arange(400) * 0.01
    received = np.where((stamp > 1.0) & (stamp < 3.0), 3.0 + stamp * 1e-3, stamp) + 0.002
    series = timed(received.tolist(), stamp.tolist())
    assert series.time_source == "header stamp"
    assert_allclose(series.time_s, stamp, atol=1e-9)
    assert series.implausible == 0


def test_a_clock_set_forward_by_a_second_loses_what_came_after() -> None:
    received = np.arange(500) * 0.01
    stamp = received + (received >= 4.0)
    series = timed(received.tolist(), stamp.tolist())
    assert series.time_source == "header stamp"
    assert series.time_s[-1] == pytest.approx(3.99)
    assert series.implausible == 100


@pytest.mark.parametrize("lag_s", [0.2, -0.05, 1e9])
def test_a_clock_that_is_always_off_makes_receipt_count(lag_s: float) -> None:
    received = (np.arange(300) * 0.01).tolist()
    series = timed(received, [t - lag_s for t in received])
    assert series.time_source == "receive time"
    assert_allclose(series.time_s, received, atol=1e-9)
    assert series.median_lag_s == pytest.approx(lag_s)


def test_a_simulation_that_is_reset_begins_an_epoch_though_its_stamps_are_not_used() -> None:
    received = (np.arange(300) * 0.01).tolist()
    stamp = [t % 1.0 - 1e6 for t in received]
    series = timed(received, stamp)
    assert series.time_source == "receive time"
    assert np.flatnonzero(np.diff(series.epoch)).tolist() == [99, 199]


def test_a_message_up_to_the_tolerance_late_is_sorted_in_and_no_epoch_begins() -> None:
    series = timed([0.0, 0.01, 0.025, 0.026], [0.0, 0.01, 0.03, 0.02])
    assert series.values[:, 0].tolist() == [0.0, 1.0, 3.0, 2.0]
    assert (series.out_of_order, series.jumped_back) == (1, 0)
    assert series.epoch.tolist() == [0, 0, 0, 0]


def test_of_two_messages_of_one_time_the_later_counts() -> None:
    series = timed([0.0, 0.01, 0.01, 0.02])
    assert series.values[:, 0].tolist() == [0.0, 2.0, 3.0]
    assert series.duplicates == 1


def test_an_epoch_begins_after_bad_messages_and_knows_what_they_were() -> None:
    bad = int(Fault.NOT_FINITE)
    series = without_faults(timed([0.0, 0.01, 0.02, 0.03, 0.04], fault=[0, bad, bad, 0, 0]))
    assert series.values[:, 0].tolist() == [0.0, 3.0, 4.0]
    assert series.epoch.tolist() == [0, 1, 1]
    assert series.epoch_fault[1] == Fault.NOT_FINITE


def test_interpolation_is_linear_and_exact_at_the_messages() -> None:
    series = timed([0.0, 0.01, 0.03], values=[[0.0], [1.0], [5.0]])
    found = interpolate(series, np.array([0.0, 0.004, 0.01, 0.025, 0.03]), 0.06)
    assert_allclose(found.values[:, 0], [0.0, 0.4, 1.0, 4.0, 5.0], atol=1e-12)
    assert not found.fault.any()


def test_nothing_is_extrapolated_and_no_pause_bridged() -> None:
    series = timed([0.0, 0.01, 0.08, 0.14], values=[[0.0]] * 4)
    found = interpolate(series, np.array([-0.001, 0.005, 0.01, 0.04, 0.08, 0.1, 0.141]), 0.06)
    missing = int(Fault.NO_MESSAGE)
    assert found.fault.tolist() == [missing, 0, 0, missing, 0, 0, missing]


def test_a_quaternion_takes_the_shorter_arc_and_keeps_its_length() -> None:
    """10 degrees about x, and 30 with the sign turned: half way is 20."""
    half = np.radians([5.0, 15.0, 10.0])
    first = [np.cos(half[0]), np.sin(half[0]), 0.0, 0.0]
    second = [-np.cos(half[1]), -np.sin(half[1]), 0.0, 0.0]
    series = timed([0.0, 0.02], values=[first, second])
    found = interpolate(series, np.array([0.01]), 0.06, quaternion=slice(0, 4))
    assert_allclose(found.values[0], [np.cos(half[2]), np.sin(half[2]), 0, 0], atol=1e-12)


@given(
    st.lists(st.floats(0.001, 0.05), min_size=2, max_size=20),
    st.floats(0.0, 1.0),
    st.floats(-3.0, 3.0),
)
def test_a_straight_line_stays_straight_however_its_messages_lie(
    pauses: list[float], share: float, slope: float
) -> None:
    times = np.cumsum(pauses)
    series = timed(times.tolist(), values=(slope * times)[:, None])
    at = np.array([times[0] + share * (times[-1] - times[0])]).clip(*series.time_s[[0, -1]])
    found = interpolate(series, at, 0.06)
    assert found.fault[0] == Fault.NONE
    assert found.values[0, 0] == pytest.approx(slope * at[0], abs=1e-7)


def test_a_target_is_held_until_the_next_and_no_longer_than_allowed() -> None:
    series = timed([0.0, 0.02], values=[[1.0], [2.0]])
    found = hold(series, np.array([-0.01, 0.0, 0.019, 0.02, 0.079, 0.081]), 0.06)
    missing = int(Fault.NO_MESSAGE)
    assert found.fault.tolist() == [missing, 0, 0, 0, 0, missing]
    assert found.values[1:5, 0].tolist() == [1.0, 1.0, 2.0, 2.0]


@pytest.mark.parametrize("phase_s", [0.0, 0.0031, 0.0107, 0.0199])
def test_rows_lie_where_targets_change(phase_s: float) -> None:
    measured = np.arange(0.0, 5.0, 0.0025)
    changed = phase_s + np.arange(0.0, 4.9, 0.02)
    grid = control_grid(measured, changed, period_s=0.02, max_gap_s=0.06)
    off = (grid.time_s - phase_s + 0.01) % 0.02 - 0.01
    assert np.abs(off).max() < 1e-9
    assert grid.locked_share == 1.0
    assert np.all(np.diff(grid.number) == 1)


def test_rows_follow_a_clock_that_drifts_for_an_hour_and_skip_no_tick() -> None:
    """Half a period a quarter of an hour: more than two periods in all."""
    changed = np.arange(0.0, 3600.0, 0.02) * (1.0 + 1.1e-5)
    measured = np.arange(0.0, 3600.0, 0.01)
    grid = control_grid(measured, changed, period_s=0.02, max_gap_s=0.06)
    inside = grid.time_s[(grid.time_s > 2.0) & (grid.time_s < 3598.0)]
    nearest = changed[np.clip(np.searchsorted(changed, inside - 0.01), 0, len(changed) - 1)]
    assert np.abs(inside - nearest).max() < 1e-4
    assert np.all(np.diff(grid.number) == 1)


def test_a_pause_of_the_measurements_costs_rows_and_half_a_century_costs_no_memory() -> None:
    measured = np.concatenate([np.arange(0.0, 1.0, 0.01), np.arange(0.0, 1.0, 0.01) + 1.7e9])
    grid = control_grid(measured, np.empty(0), period_s=0.02, max_gap_s=0.06)
    assert 98 <= len(grid.number) <= 100
    assert np.sum(np.diff(grid.number) > 1) == 1
    assert grid.locked_share == 1.0


def test_targets_that_change_at_any_time_have_no_phase() -> None:
    measured = np.arange(0.0, 5.0, 0.01)
    grid = control_grid(measured, np.arange(0.0, 5.0, 0.0025), period_s=0.02, max_gap_s=0.06)
    assert grid.locked_share == 0.0


def test_a_target_sent_again_is_no_change() -> None:
    time_s = np.arange(5) * 0.005
    values = np.array([[1.0], [1.0], [2.0], [2.0], [3.0]])
    assert change_times(time_s, values).tolist() == [0.01, 0.02]


def test_a_robot_that_wavers_about_the_limit_falls_once() -> None:
    tilt = np.array([0.1, 0.9, 1.1, 0.9, 1.1, 0.4, 0.1])
    gravity = np.stack([np.sin(tilt), 0 * tilt, -np.cos(tilt)], axis=1)
    usable = np.ones(7, dtype=bool)
    fell, lies = find_falls(gravity, usable, np.arange(7) > 0, 1.0)
    assert np.flatnonzero(fell).tolist() == [2]
    assert np.flatnonzero(lies).tolist() == [3, 4]


def test_a_robot_that_lies_when_the_recording_begins_did_not_fall_in_it() -> None:
    gravity = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    fell, lies = find_falls(gravity, np.ones(3, dtype=bool), np.arange(3) > 0, 1.0)
    assert not fell.any()
    assert lies.tolist() == [True, True, False]
