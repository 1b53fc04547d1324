"""Data in another joint order are told so, and which: by feet that stand still."""

from dataclasses import replace

import numpy as np
import pytest

from rwmu_deploy.contract.asset_folder import asset_path
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.cli.data import main as data_command
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.joint_order import _is_slower, likely_joint_order
from rwmu_train.transitions.order_checks import check_joint_order

LEG_MAJOR = [kind * 4 + leg for leg in range(4) for kind in range(3)]


@pytest.fixture(scope="module")
def walking(spec) -> TransitionDataset:
    """The shipped sample: trained policies walk, stumble and fall."""
    return load_dataset(asset_path("data", "anymal_d_flat"), spec)


def reordered(data: TransitionDataset, blocks, order) -> TransitionDataset:
    rows = data.rows.copy()
    for block in blocks:
        rows[:, block.slice] = data.rows[:, block.slice][:, list(order)]
    return replace(data, rows=rows)


def joint_blocks(data: TransitionDataset):
    columns = data.columns
    state = [
        columns.joint_position_offset_rad,
        columns.joint_velocity_radps,
        columns.joint_torque_nm,
    ]
    return [*state, columns.action], state


def exchanged(i: int, j: int) -> list[int]:
    order = list(range(12))
    order[i], order[j] = j, i
    return order


def test_walking_robot_is_in_its_own_order(walking) -> None:
    assert likely_joint_order(walking) is None
    assert check_joint_order(walking).problems == ()


@pytest.mark.parametrize(
    ("i", "j"), [(0, 1), (0, 2), (0, 3), (4, 8), (5, 9), (2, 7), (6, 11), (8, 9), (10, 11)]
)
def test_exchanged_joints_are_named(walking, i: int, j: int) -> None:
    names = walking.spec.joint_names
    everywhere, _ = joint_blocks(walking)
    order = exchanged(i, j)
    data = reordered(walking, everywhere, order)
    assert likely_joint_order(data) == tuple(names[k] for k in order)
    assert len(check_joint_order(data).problems) == 1


def test_leg_by_leg_is_named(walking) -> None:
    names = walking.spec.joint_names
    everywhere, state = joint_blocks(walking)
    for blocks in (everywhere, state):
        problems = check_joint_order(reordered(walking, blocks, LEG_MAJOR)).problems
        assert "LF_HAA, LF_HFE, LF_KFE, LH_HAA," in problems[-1]
    assert likely_joint_order(reordered(walking, everywhere, LEG_MAJOR)) == tuple(
        names[k] for k in LEG_MAJOR
    )


def test_order_that_nobody_uses_is_found_by_exchanges(walking) -> None:
    everywhere, _ = joint_blocks(walking)
    order = exchanged(0, 5)
    order[3], order[10] = order[10], order[3]
    names = walking.spec.joint_names
    assert likely_joint_order(reordered(walking, everywhere, order)) == tuple(
        names[k] for k in order
    )


def test_action_columns_alone_are_seen_against_the_torques(walking) -> None:
    data = reordered(walking, [walking.columns.action], exchanged(1, 6))
    (problem,) = check_joint_order(data).problems
    assert "LH_HAA by action[RF_HFE], RF_HFE by action[LH_HAA]" in problem


def test_a_robot_that_stands_says_nothing(walking) -> None:
    everywhere, _ = joint_blocks(walking)
    data = reordered(walking, everywhere, exchanged(0, 5))
    rows, columns = data.rows.copy(), data.columns
    for block in (
        columns.base_linear_velocity_mps,
        columns.base_angular_velocity_radps,
        columns.joint_velocity_radps,
    ):
        rows[:, block.slice] *= 0.01
    assert likely_joint_order(data) is not None
    assert likely_joint_order(replace(data, rows=rows)) is None


def test_feet_that_are_hardly_slower_are_no_other_order() -> None:
    speed = np.linspace(0.9, 1.1, 1000)
    assert not _is_slower(0.985 * speed, speed)
    assert _is_slower(0.96 * speed, speed)


def test_a_humanoids_exchanged_ankles_are_named(tmp_path) -> None:
    """Of its 66 pairs of leg joints these two make the least difference."""
    policies = str(asset_path("policies", "g1_flat"))
    words = ["record", "--task", "g1_flat", "--policies", policies, "--set", "expert"]
    words += ["--rows", "4000", "--robots", "40", "--out", str(tmp_path / "log")]
    assert data_command(words) == 0
    log = load_dataset(tmp_path / "log", load_robot_spec("g1"))
    names = list(log.spec.joint_names)
    assert likely_joint_order(log) is None
    i, j = names.index("left_ankle_roll_joint"), names.index("right_ankle_roll_joint")
    order = list(range(len(names)))
    order[i], order[j] = j, i
    everywhere, _ = joint_blocks(log)
    assert likely_joint_order(reordered(log, everywhere, order)) == tuple(names[k] for k in order)


def test_noise_and_a_robot_in_the_air_say_nothing(walking, segment, walking_rows, spec) -> None:
    rows = walking_rows(2000, torque=True)
    path = segment(rows)
    assert likely_joint_order(load_dataset(path, spec)) is None
    rows[:, walking.columns.contact.slice] = 0.0
    assert likely_joint_order(load_dataset(segment(rows, folder="air"), spec)) is None


def test_a_single_joint_that_follows_anothers_action_is_no_other_order(walking) -> None:
    """A weak drive of a robot whose legs move alike looks like that: the data stay usable."""
    columns, names = walking.columns, walking.spec.joint_names
    joint, other = names.index("LF_KFE"), names.index("RF_KFE")
    rows = walking.rows.copy()
    offset = rows[:, columns.joint_position_offset_rad.start + joint]
    action = rows[:, columns.action.start + other]
    rows[:, columns.joint_torque_nm.start + joint] = 85.0 * (0.5 * action - offset)
    assert check_joint_order(replace(walking, rows=rows)).problems == ()
