"""The operator's velocity command."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.runtime.velocity_command import VelocityCommand

RANGE = CommandRange((-0.5, -0.3, -1.0), (1.0, 0.3, 1.0))


@pytest.fixture
def velocity() -> VelocityCommand:
    return VelocityCommand(RANGE, max_age_s=0.5)


def test_no_command_yet_is_zero_and_no_fault(velocity):
    np.testing.assert_array_equal(velocity.at(0.0), np.zeros(3))
    assert not velocity.is_stale(0.0)


def test_command_is_clipped_to_the_trained_range(velocity):
    assert velocity.set([5.0, -5.0, 0.2], 1.0)
    np.testing.assert_array_equal(velocity.at(1.0), [1.0, -0.3, 0.2])


@pytest.mark.parametrize(
    ("age_s", "share"),
    [(0.0, 1.0), (0.5, 1.0), (0.625, 0.75), (0.75, 0.5), (1.0, 0.0), (9.0, 0.0)],
)
def test_stale_command_ramps_to_zero_within_half_a_second(velocity, age_s, share):
    velocity.set([0.8, 0.0, -0.4], 2.0)
    np.testing.assert_allclose(velocity.at(2.0 + age_s), np.array([0.8, 0.0, -0.4]) * share)
    assert velocity.is_stale(2.0 + age_s) == (age_s > 0.5)


@pytest.mark.parametrize(
    "command",
    [
        [np.nan, 0, 0],
        [0, np.inf, 0],
        [0, 0, -np.inf],
        [0, 0],
        [0, 0, 0, 0],
        "forward",
        None,
        [[1]],
    ],
)
def test_unusable_command_is_refused_and_the_previous_one_ages(velocity, command):
    velocity.set([0.8, 0.0, 0.0], 2.0)
    assert not velocity.set(command, 2.9)
    np.testing.assert_allclose(velocity.at(2.9), [0.8 * 0.2, 0.0, 0.0])


@pytest.mark.parametrize("now_s", [np.nan, np.inf])
def test_command_without_a_time_is_refused(velocity, now_s):
    assert not velocity.set([0.8, 0.0, 0.0], now_s)
    np.testing.assert_array_equal(velocity.at(0.0), np.zeros(3))


def test_command_from_the_future_does_not_live_forever(velocity):
    velocity.set([0.8, 0.0, 0.0], 1e9)
    np.testing.assert_array_equal(velocity.at(2.0), np.zeros(3))


@given(st.floats(), st.floats(), st.floats(), st.floats())
def test_any_command_at_any_time_gives_a_finite_one_between_zero_and_the_range(vx, vy, wz, now_s):
    velocity = VelocityCommand(RANGE, 0.5)
    velocity.set([vx, vy, wz], 10.0)
    command = velocity.at(now_s)
    assert np.isfinite(command).all()
    assert (np.minimum(RANGE.lower, 0.0) <= command).all()
    assert (command <= np.maximum(RANGE.upper, 0.0)).all()
