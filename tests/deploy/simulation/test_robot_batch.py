import numpy as np
import pytest

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.simulation.robot_batch import ResetRange, RobotBatch

SPEC = load_robot_spec("anymal_d")
COLUMNS = TransitionColumns.of(SPEC)
CALM = ResetRange(base_velocity=0.0, joint_factor=(1.0, 1.0))


def batch(count: int = 4, **options) -> RobotBatch:
    return RobotBatch(SPEC, count, seed=0, threads=2, **options)


def test_the_robot_weighs_what_its_data_sheet_says() -> None:
    with batch(1) as robots:
        assert robots.model.total_mass_kg == pytest.approx(51.63574, abs=1e-9)


def test_it_stands_ten_seconds_within_two_centimetres() -> None:
    with batch(2, reset_range=CALM) as robots:
        for _ in range(100):
            robots.step(np.zeros((2, 12)))
        settled = robots.base_position_m[:, 2]
        for _ in range(500):
            outcome = robots.step(np.zeros((2, 12)))
        assert np.abs(robots.base_position_m[:, 2] - settled).max() < 0.02
        assert settled.min() > 0.53
        assert not outcome.fell.any()
        assert outcome.contact.tolist() == [[0.0] * 4 + [1.0] * 4] * 2


def test_base_velocity_is_the_change_of_position_in_the_base_frame() -> None:
    with batch(8) as robots:
        for _ in range(5):
            robots.step(np.zeros((8, 12)))
        before = robots.base_position_m
        middle = robots.step(np.zeros((8, 12))).state
        after = robots.base_position_m
        world = (after - before) / SPEC.control_dt_s
        speed = np.linalg.norm(middle[:, COLUMNS.base_linear_velocity_mps.slice], axis=1)
        np.testing.assert_allclose(speed, np.linalg.norm(world, axis=1), atol=0.15)


def test_each_action_moves_its_own_joint() -> None:
    offset = COLUMNS.joint_position_offset_rad.slice
    with batch(13, reset_range=CALM) as robots:
        action = np.zeros((13, 12))
        action[np.arange(12), np.arange(12)] = 0.6
        for _ in range(4):
            outcome = robots.step(action)
        moved = np.abs(outcome.state[:12, offset] - outcome.state[12, offset])
        assert moved.argmax(axis=1).tolist() == list(range(12))


def test_a_robot_on_its_back_has_fallen() -> None:
    with batch(1, reset_range=CALM) as robots:
        robots._physics[0, 1 + 3 : 1 + 7] = [0.0, 1.0, 0.0, 0.0]
        fell = [bool(robots.step(np.zeros((1, 12))).fell[0]) for _ in range(50)]
        assert fell[-1]


def test_an_action_that_is_not_a_number_is_a_fall_and_moves_nothing() -> None:
    action = np.full((3, 12), 0.3)
    action[1, 4], action[2, 0] = np.nan, np.inf
    with batch(3, reset_range=CALM) as robots:
        outcome = robots.step(action)
        torque = outcome.state[:, COLUMNS.joint_torque_nm.slice]
        assert outcome.fell.tolist() == [False, True, True]
        assert np.abs(torque[0]).max() > 5.0
        assert np.abs(torque[1:]).max() < 3.0
        assert np.isfinite(outcome.state).all()


def test_a_diverged_robot_falls_and_its_neighbours_go_on() -> None:
    with batch(3, reset_range=CALM) as robots:
        robots._physics[1, 1 + 2] = np.nan
        outcome = robots.step(np.zeros((3, 12)))
        assert outcome.fell.tolist() == [False, True, False]
        assert np.isfinite(outcome.state).all()


def test_equal_seeds_give_equal_robots_whatever_the_threads() -> None:
    action = np.random.default_rng(1).normal(size=(6, 12))
    states = []
    for threads in (1, 2):
        with RobotBatch(SPEC, 6, seed=3, threads=threads) as robots:
            for _ in range(3):
                outcome = robots.step(action)
            states.append(outcome.state)
    np.testing.assert_array_equal(states[0], states[1])


def test_no_robots_are_refused() -> None:
    with pytest.raises(ConfigError, match="0 simulated robots"):
        batch(0)
