"""No tick can command a jump or leave the joint range."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.runtime.command_limiter import CommandLimiter

SPEC = load_robot_spec("anymal_d")
ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True, width=64)


@pytest.fixture
def limiter() -> CommandLimiter:
    return CommandLimiter(SPEC)


def test_request_inside_both_limits_passes_unchanged(limiter):
    previous = SPEC.default_position_rad
    limited = limiter.limit(previous + 0.3, previous)
    np.testing.assert_array_equal(limited.position_rad, previous + 0.3)
    assert not limited.was_limited.any()


def test_jump_is_cut_to_one_step(limiter):
    previous = SPEC.default_position_rad
    request = previous.copy()
    request[4] += 1.5
    limited = limiter.limit(request, previous)
    assert limited.position_rad[4] == pytest.approx(0.4 + 0.8)
    assert limited.was_limited.tolist() == [i == 4 for i in range(12)]


def test_request_beyond_the_range_stops_at_it(limiter):
    previous = SPEC.default_position_rad
    limited = limiter.limit(previous + np.eye(12)[0] * 0.75, previous)
    assert limited.position_rad[0] == 0.6108655


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_request_that_is_not_finite_keeps_previous_command_of_that_joint(limiter, value):
    previous = SPEC.default_position_rad + 0.05
    request = previous + 0.1
    request[7] = value
    limited = limiter.limit(request, previous)
    assert limited.position_rad[7] == previous[7]
    assert limited.position_rad[6] == previous[6] + 0.1
    assert limited.was_limited[7]


def test_request_of_another_shape_keeps_all_of_the_previous_command(limiter):
    previous = SPEC.default_position_rad
    limited = limiter.limit(np.zeros(11), previous)
    np.testing.assert_array_equal(limited.position_rad, previous)


def test_range_wins_over_step_for_a_previous_command_outside(limiter):
    previous = SPEC.upper_rad + 5.0
    np.testing.assert_array_equal(limiter.limit(previous, previous).position_rad, SPEC.upper_rad)


def test_target_asks_for_twice_the_effort_limit_at_most_from_where_the_joint_is(
    limiter, upright, with_value
):
    previous = SPEC.default_position_rad
    request = previous.copy()
    request[4] = 1.2
    measured = with_value(upright, "joint_position_rad", 4, -1.0)
    # 85 N m/rad reach 2 x 80 N m in 1.88235 rad.
    limited = limiter.limit(request, previous, measured)
    assert limited.position_rad[4] == pytest.approx(-1.0 + 1.8823529)
    assert limited.was_limited.tolist() == [i == 4 for i in range(12)]
    # Damping takes 0.6 x 3 N m of it, in a joint that moves there.
    moving = with_value(measured, "joint_velocity_radps", 4, 3.0)
    limited = limiter.limit(request, previous, moving)
    assert limited.position_rad[4] == pytest.approx(-1.0 + 1.8823529 + 0.6 * 3.0 / 85.0)


def test_step_wins_over_the_effort_of_a_joint_far_away(limiter, upright, with_value):
    previous = SPEC.default_position_rad
    far = with_value(upright, "joint_position_rad", 4, -3.0)
    assert limiter.limit(previous, previous, far).position_rad[4] == pytest.approx(0.4 - 0.8)


@settings(max_examples=200)
@given(hnp.arrays(np.float64, (8, 12), elements=ANY_FLOAT))
def test_any_sequence_stays_finite_in_range_and_in_step(requests):
    limiter, previous = CommandLimiter(SPEC), SPEC.default_position_rad
    for request in requests:
        position = limiter.limit(request, previous).position_rad
        assert np.isfinite(position).all()
        assert (position >= SPEC.lower_rad).all()
        assert (position <= SPEC.upper_rad).all()
        assert np.abs(position - previous).max() <= SPEC.safety.command_step_rad + 1e-12
        previous = position
