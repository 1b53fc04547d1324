"""The ramp from the pose found to the default pose."""

import math

import numpy as np
import pytest

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.runtime.stand_up import StandUpRamp


def test_ramp_starts_at_the_pose_found_and_ends_at_the_goal():
    start, goal = np.array([1.0, -2.0]), np.array([0.0, 0.4])
    ramp = StandUpRamp(start, goal, duration_s=0.08, tick_s=0.02)
    positions = []
    while not ramp.is_over:
        positions.append(ramp.next_position_rad())
    assert len(positions) == 5
    np.testing.assert_array_equal(positions[0], start)
    np.testing.assert_allclose(positions[2], (start + goal) / 2)
    np.testing.assert_allclose(positions[-1], goal)


def test_ramp_of_two_seconds_never_moves_faster_than_its_peak():
    ramp = StandUpRamp(np.zeros(1), np.ones(1), 2.0, 0.02)
    positions = np.array([ramp.next_position_rad()[0] for _ in range(101)])
    steps = np.diff(positions)
    assert ramp.is_over
    assert (steps >= 0.0).all()
    assert steps.max() <= math.pi / 2 * 0.01 + 1e-12


@pytest.mark.parametrize("duration_s", [0.0, -1.0, math.nan, math.inf])
def test_duration_that_would_make_it_jump_is_refused(duration_s):
    with pytest.raises(ConfigError):
        StandUpRamp(np.zeros(1), np.ones(1), duration_s, 0.02)
