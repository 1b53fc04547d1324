"""Only finite, plausible, orderly measurements come through."""

import math
from dataclasses import replace

import numpy as np
import pytest

from rwmu_deploy.runtime.sensor_gate import SensorGate

FIELDS = {
    "base_linear_velocity_mps": 3,
    "base_angular_velocity_radps": 3,
    "projected_gravity": 3,
    "joint_position_rad": 12,
    "joint_velocity_radps": 12,
    "joint_torque_nm": 12,
    "contact": 8,
}
ENTRIES = [(field, index) for field, size in FIELDS.items() for index in range(size)]


@pytest.fixture
def gate(spec) -> SensorGate:
    return SensorGate(spec)


def test_before_the_first_sample_nothing_is_known(gate):
    reading = gate.check(None, 10.0)
    assert reading.state is None
    assert reading.age_s == math.inf
    assert not reading.fresh


def test_good_sample_is_fresh_once_and_then_ages(gate, upright):
    first, again = gate.check(upright, 10.01), gate.check(upright, 10.05)
    assert (first.fresh, again.fresh) == (True, False)
    assert first.age_s == pytest.approx(0.01)
    assert again.age_s == pytest.approx(0.05)
    assert again.state is upright


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30])
def test_bad_value_in_any_entry_keeps_the_previous_sample(gate, upright, with_value, value):
    gate.check(upright, 10.0)
    assert len(ENTRIES) == 53
    for count, (field, index) in enumerate(ENTRIES, start=1):
        time_s = 10.0 + 0.001 * count
        bad = with_value(replace(upright, received_s=time_s), field, index, value)
        reading = gate.check(bad, time_s)
        assert reading.state is upright, (field, index)
        assert reading.fault in ("sensor_not_finite", "sensor_implausible")
        assert reading.bad_in_a_row == count


def test_good_sample_ends_the_count_of_bad_ones(gate, upright, with_value):
    gate.check(with_value(upright, "joint_position_rad", 0, np.nan), 10.0)
    later = replace(upright, received_s=10.02)
    reading = gate.check(later, 10.02)
    assert (reading.bad_in_a_row, reading.fresh, reading.state) == (0, True, later)


def test_same_bad_sample_counts_once(gate, upright, with_value):
    bad = with_value(upright, "joint_position_rad", 0, np.nan)
    assert gate.check(bad, 10.0).bad_in_a_row == 1
    assert gate.check(bad, 10.02).bad_in_a_row == 1


@pytest.mark.parametrize(
    ("norm", "fault"),
    [(0.89, "gravity_norm"), (0.91, None), (1.09, None), (1.11, "sensor_implausible")],
)
def test_gravity_must_have_about_unit_length(gate, upright, norm, fault):
    sample = replace(upright, projected_gravity=np.array([0.0, 0.0, -norm]))
    assert gate.check(sample, 10.0).fault == fault


def test_gravity_too_long_along_a_diagonal_is_refused(gate, upright):
    sample = replace(upright, projected_gravity=np.array([0.7, 0.7, -0.7]))
    assert gate.check(sample, 10.0).fault == "gravity_norm"


def test_wrong_number_of_joints_is_refused(gate, upright):
    sample = replace(upright, joint_velocity_radps=np.zeros(11))
    assert gate.check(sample, 10.0).fault == "sensor_wrong_size"


def test_older_sample_is_dropped_without_counting_as_bad(gate, upright):
    newest = replace(upright, received_s=10.04)
    gate.check(newest, 10.04)
    reading = gate.check(replace(upright, received_s=10.02), 10.06)
    assert (reading.fault, reading.state) == ("sensor_out_of_order", newest)
    assert reading.bad_in_a_row == 0


def test_order_1_4_2_3_keeps_the_fourth(gate, upright):
    samples = [replace(upright, received_s=10.0 + k / 100) for k in (1, 4, 2, 3)]
    readings = [gate.check(sample, 10.05) for sample in samples]
    assert readings[-1].state is samples[1]
    assert [reading.fault for reading in readings] == [None, None] + ["sensor_out_of_order"] * 2


@pytest.mark.parametrize("ahead_s", [0.021, 3600.0, math.inf, math.nan])
def test_stamp_from_the_future_is_refused_and_a_later_good_one_accepted(gate, upright, ahead_s):
    reading = gate.check(replace(upright, received_s=10.0 + ahead_s), 10.0)
    assert reading.state is None
    assert gate.check(upright, 10.0).fresh


def test_time_that_is_not_a_number_makes_no_sample_usable(gate, upright):
    assert gate.check(upright, math.nan).state is None
