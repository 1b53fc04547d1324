"""A foot is put where the linear inverted pendulum asks for it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rwmu_train.gait.foot_placement import (
    at_touchdown,
    capture_point,
    pendulum_rate,
    steady_offset,
)


def test_a_pendulum_as_high_as_g_falls_at_rate_one() -> None:
    assert pendulum_rate(np.array([9.81, 9.81 / 16])).tolist() == [1.0, 4.0]


def test_capture_point_lies_ahead_by_velocity_over_rate() -> None:
    point = capture_point(np.array([[1.0, -1.0]]), np.array([[2.0, 4.0]]), np.array([4.0]))
    assert point.tolist() == [[1.5, 0.0]]


def test_capture_point_leaves_the_standing_foot_exponentially() -> None:
    point = at_touchdown(
        np.array([[0.3, 0.1]]),
        np.array([[0.2, 0.2]]),
        np.array([2.0]),
        np.array([np.log(3.0) / 2]),
    )
    np.testing.assert_allclose(point, [[0.5, -0.1]])


def test_at_the_end_of_a_step_nothing_is_left_to_grow() -> None:
    point = np.array([[0.3, 0.1]])
    now = at_touchdown(point, np.zeros((1, 2)), np.array([3.0]), np.zeros(1))
    assert now.tolist() == point.tolist()


def test_stepping_in_place_the_capture_point_stays_between_the_feet() -> None:
    # exp(rate * time) = 3: a quarter of the width inward.
    offset = steady_offset(
        np.zeros((2, 2)),
        np.full(2, 0.2),
        np.array([1.0, -1.0]),
        np.full(2, np.log(3.0)),
        np.ones(2),
    )
    np.testing.assert_allclose(offset, [[0.0, -0.05], [0.0, 0.05]])


@given(
    st.floats(-1.5, 1.5),
    st.floats(-0.8, 0.8),
    st.floats(0.0, 0.5),
    st.sampled_from([-1.0, 1.0]),
    st.floats(2.0, 5.0),
    st.floats(0.1, 1.0),
)
def test_a_step_leads_to_the_next_like_it(
    vx: float, vy: float, width: float, side: float, rate: float, step: float
) -> None:
    velocity = np.array([[vx, vy]])
    rates, times, widths = np.array([rate]), np.array([step]), np.array([width])
    foot = np.array([side])
    begins = steady_offset(velocity, widths, foot, rates, times)
    ends = at_touchdown(begins, np.zeros((1, 2)), rates, times)
    next_foot = velocity * step - np.array([[0.0, side * width]])
    again = steady_offset(velocity, widths, -foot, rates, times)
    np.testing.assert_allclose(ends - next_foot, again, atol=1e-9)
