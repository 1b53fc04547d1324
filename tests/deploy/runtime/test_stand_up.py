"""The ramp from the pose found to the default pose."""

import math
from dataclasses import replace

import numpy as np
import pytest

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.robot_state import position_command
from rwmu_deploy.runtime.stand_up import StandUpRamp, supporting_position_rad
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot

SPEC = load_robot_spec("anymal_d")


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


def resting_state():
    """A robot in its default pose that is held by nothing."""
    state = SimulatedRobot(SPEC).latest_state()
    still = np.zeros(SPEC.joint_count)
    return replace(
        state,
        joint_position_rad=SPEC.default_position_rad,
        joint_velocity_radps=still,
        joint_torque_nm=still,
    )


def test_the_target_leads_the_pose_by_the_torque_that_holds_it():
    torque_nm, velocity_radps = np.zeros(12), np.zeros(12)
    torque_nm[3], velocity_radps[3] = 17.0, 5.0
    state = replace(
        resting_state(), joint_torque_nm=torque_nm, joint_velocity_radps=velocity_radps
    )
    lead_rad = supporting_position_rad(SPEC, state) - SPEC.default_position_rad
    expected = np.zeros(12)
    expected[3] = (17.0 + 0.6 * 5.0) / 85.0
    np.testing.assert_allclose(lead_rad, expected, atol=1e-12)


def test_the_lead_is_half_a_command_step_at_most_and_inside_the_joint_range():
    strong = replace(resting_state(), joint_torque_nm=np.full(12, 900.0))
    target_rad = supporting_position_rad(SPEC, strong)
    step_rad = SPEC.safety.command_step_rad
    np.testing.assert_allclose(target_rad - SPEC.default_position_rad, np.full(12, step_rad / 2))
    at_the_end = replace(strong, joint_position_rad=SPEC.upper_rad)
    np.testing.assert_array_equal(supporting_position_rad(SPEC, at_the_end), SPEC.upper_rad)


def test_a_standing_robot_is_taken_over_without_a_dip():
    robot = SimulatedRobot(SPEC)
    robot.advance(2.0)
    standing_m = robot.base_height_m
    start_rad = supporting_position_rad(SPEC, robot.latest_state())
    ramp = StandUpRamp(start_rad, SPEC.default_position_rad, 2.0, SPEC.control_dt_s)
    heights_m, now_s = [], 2.0
    while not ramp.is_over:
        robot.send(position_command(SPEC, ramp.next_position_rad()))
        now_s += SPEC.control_dt_s
        robot.advance(now_s)
        heights_m.append(robot.base_height_m)
    assert min(heights_m) > standing_m - 0.002
