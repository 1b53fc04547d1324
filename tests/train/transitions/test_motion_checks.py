"""Rates, signs and units that contradict each other are named; rest and noise are not."""

from dataclasses import replace

import numpy as np
import pytest

from rwmu_deploy.contract.asset_folder import asset_path
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.motion_checks import (
    check_gravity_rate,
    check_joint_rates,
    check_stuck_sensors,
)


@pytest.fixture(scope="module")
def walking(spec) -> TransitionDataset:
    return load_dataset(asset_path("data", "anymal_d_flat"), spec)


def changed(data: TransitionDataset, column: int, change) -> TransitionDataset:
    rows = data.rows.copy()
    rows[:, column] = change(rows[:, column])
    return replace(data, rows=rows)


def test_walking_robot_contradicts_nothing(walking) -> None:
    for check in (check_gravity_rate, check_joint_rates, check_stuck_sensors):
        assert check(walking).problems == ()


@pytest.mark.parametrize("axis", [0, 1])
def test_gravity_of_the_wrong_sign_is_named_by_its_axis(walking, axis) -> None:
    column = walking.columns.projected_gravity.start + axis
    (problem,) = check_gravity_rate(changed(walking, column, np.negative)).problems
    assert problem.startswith(f"projected_gravity[{'xy'[axis]}] changes -")
    assert "wrong sign" in problem


def test_base_turning_in_degrees_is_named(walking) -> None:
    block = walking.columns.base_angular_velocity_radps
    rows = walking.rows.copy()
    rows[:, block.slice] = np.degrees(rows[:, block.slice])
    problems = check_gravity_rate(replace(walking, rows=rows)).problems
    assert len(problems) == 2
    assert all("degrees?" in problem for problem in problems)


@pytest.mark.parametrize("joint", [0, 5, 11])
def test_joint_position_in_degrees_or_of_the_wrong_sign_is_named(walking, joint) -> None:
    name = walking.spec.joint_names[joint]
    column = walking.columns.joint_position_offset_rad.start + joint
    (problem,) = check_joint_rates(changed(walking, column, np.degrees)).problems
    assert problem.startswith(f"joint {name}: position changes +5")
    assert "degrees?" in problem
    (problem,) = check_joint_rates(changed(walking, column, np.negative)).problems
    assert problem.startswith(f"joint {name}: position changes -")
    assert "wrong sign" in problem


def test_velocities_in_another_order_than_positions_are_named(walking) -> None:
    block = walking.columns.joint_velocity_radps
    rows = walking.rows.copy()
    rows[:, [block.start + 2, block.start + 9]] = rows[:, [block.start + 9, block.start + 2]]
    (problem,) = check_joint_rates(replace(walking, rows=rows)).problems
    assert "RF_HAA by velocity[LH_KFE], LH_KFE by velocity[RF_HAA]" in problem


@pytest.mark.parametrize("block", ["joint_position_offset_rad", "joint_velocity_radps"])
def test_encoder_that_dies_on_the_way_is_named_with_its_time(walking, block) -> None:
    column = getattr(walking.columns, block).start + 4
    rows = walking.rows.copy()
    begin, end = int(walking.episode_start[20]), int(walking.episode_end[20])
    rows[begin:end, column] = rows[begin, column]
    (problem,) = check_stuck_sensors(replace(walking, rows=rows)).problems
    assert f"{block}[LF_HFE] for " in problem


def test_resting_robot_and_saturated_drive_are_not_stuck(walking) -> None:
    columns = walking.columns
    rows = walking.rows.copy()
    rows[:, columns.joint_torque_nm.start + 3] = 80.0
    rows[2000:4000, columns.joint_velocity_radps.slice] *= 1e-6
    rows[2000:4000, columns.joint_position_offset_rad.slice] = 0.0
    assert check_stuck_sensors(replace(walking, rows=rows)).problems == ()


def test_noise_says_nothing(segment, walking_rows, spec) -> None:
    data = load_dataset(segment(walking_rows(2000, torque=True)), spec)
    for check in (check_gravity_rate, check_joint_rates, check_stuck_sensors):
        assert check(data).problems == ()
