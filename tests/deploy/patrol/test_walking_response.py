"""Where a robot will be, from how it was seen to follow commands."""

import math

import numpy as np
import pytest

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.patrol.walking_response import WalkingResponse, fitted_response

RESPONSE = WalkingResponse((0.95, 0.9, 1.0), (0.2, 0.25, 0.1), 0.04, 100.0, 100.0)
STILL = np.zeros(3)


def test_robot_that_walks_at_a_speed_stops_within_delay_and_decay():
    start = np.array([0.0, 0.0, 0.0])
    velocity = np.array([1.0, 0.0, 0.0])
    path, end = RESPONSE.path(start, velocity, STILL, STILL, hold_s=0.0)
    assert RESPONSE.stopping_distance_m(1.0) == pytest.approx(0.29 + 0.005)
    # First order: the integral of exp(-t / 0.2 s), less the last 3 % of it.
    assert path[-1][0] == pytest.approx(0.2, abs=0.03)
    assert path[-1][0] <= 0.29
    assert end == pytest.approx([path[-1][0], 0.0, 0.0])


def test_ramp_makes_the_way_longer_and_is_no_faster_than_it_says():
    slow = WalkingResponse((1.0, 1.0, 1.0), (0.01, 0.01, 0.01), 0.0, 2.0, 4.0)
    told = [np.array([1.0, 0.0, 0.0])]
    for _ in range(30):
        told.append(slow.ramped(told[-1], np.array([0.0, -0.03, 0.5]), 0.02))
    steepest = np.abs(np.diff(told, axis=0)).max(axis=0)
    assert steepest == pytest.approx([0.04, 0.03, 0.08])
    np.testing.assert_allclose(told[25], [0.0, -0.03, 0.5], atol=1e-12)
    # From 1 m/s at 2 m/s2: a quarter of a metre.
    path, _ = slow.path(STILL, np.array([1.0, 0.0, 0.0]), told[0], STILL, 0.0)
    assert path[-1][0] == pytest.approx(0.25, abs=0.03)
    assert slow.stopping_distance_m(1.0) == pytest.approx(0.25 + 0.01)


def test_long_command_reaches_gain_times_command():
    command = np.array([0.5, 0.0, 0.0])
    path, _ = RESPONSE.path(STILL, STILL, command, command, hold_s=5.0)
    speeds = np.diff(path[:100, 0]) / 0.05
    assert speeds[-2] == pytest.approx(0.475, rel=1e-3)


def test_turning_robot_walks_an_arc():
    command = np.array([0.5, 0.0, 0.5])
    start = np.array([1.0, 2.0, math.pi / 2])
    path, end = RESPONSE.path(start, np.array([0.475, 0.0, 0.5]), command, command, hold_s=math.pi)
    # A quarter of a circle to the left of radius 0.95 m, from facing along y, and then some.
    assert end[2] == pytest.approx(math.pi, abs=0.1)
    quarter = path[round(math.pi / 0.05) - 1]
    assert quarter == pytest.approx([0.05, 2.95], abs=0.05)


def test_many_robots_go_as_each_alone():
    rng = np.random.default_rng(0)
    pose, velocity, told, command = rng.normal(size=(4, 4, 5, 3))
    together, ends = RESPONSE.path(pose, velocity, told, command, 0.3)
    for i in np.ndindex(4, 5):
        alone, _ = RESPONSE.path(pose[i], velocity[i], told[i], command[i], 0.3)
        # Alone it is followed for its own ramp, together for the longest of all.
        np.testing.assert_allclose(together[(slice(len(alone)), *i)], alone)
    assert ends.shape == (4, 5, 3)


def test_response_is_found_again_in_its_own_log():
    rng = np.random.default_rng(1)
    commands = np.repeat(rng.uniform(-1, 1, (60, 3)), 50, axis=0)
    velocities = np.zeros((3000, 3))
    share = 1.0 - np.exp(-0.02 / np.array(RESPONSE.time_constant_s))
    for t in range(1, 3000):
        told = commands[max(0, t - 1 - 2)]
        goal = np.array(RESPONSE.gain) * told
        velocities[t] = velocities[t - 1] + share * (goal - velocities[t - 1])
    noisy = velocities + rng.normal(0.0, 0.002, velocities.shape)
    found = fitted_response(commands, noisy, 0.02)
    assert found.delay_s == pytest.approx(0.04)
    assert found.gain == pytest.approx(RESPONSE.gain, rel=0.02)
    assert found.time_constant_s == pytest.approx(RESPONSE.time_constant_s, rel=0.05)


def test_log_that_tells_nothing_is_refused():
    with pytest.raises(ConfigError, match="rows can't tell"):
        fitted_response(np.zeros((10, 3)), np.zeros((10, 3)), 0.02)
    with pytest.raises(ConfigError, match="none that can be relied on"):
        fitted_response(np.zeros((1000, 3)), np.zeros((1000, 3)), 0.02)


@pytest.mark.parametrize(
    "wrong",
    [
        {"gain": (math.nan, 1.0, 1.0)},
        {"time_constant_s": (0.2, 0.0, 0.1)},
        {"delay_s": -0.1},
        {"delay_s": math.inf},
        {"ramp_mps2": 0.0},
        {"ramp_radps2": math.nan},
    ],
)
def test_response_that_is_none_is_refused(wrong):
    with pytest.raises(ConfigError, match="allowed are gains"):
        WalkingResponse(
            **{
                "gain": (1.0, 1.0, 1.0),
                "time_constant_s": (0.2, 0.2, 0.2),
                "delay_s": 0.0,
                **wrong,
            }
        )
