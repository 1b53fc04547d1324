"""A biped steps where it is asked to go, and stays up, in the simulated robot."""

from dataclasses import replace

import numpy as np
import pytest

from rwmu_deploy.contract.errors import RobotSpecError
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_train.gait.gait_settings import load_gait_settings
from rwmu_train.gait.stepping_gait import SteppingGait

SECONDS = 6.0


def walked(spec: RobotSpec, command: np.ndarray, push_mps: float = 0.0):
    """Shares of robots that fell, mean velocities (N, 3) of the later half, steps of each foot."""
    columns, count = TransitionColumns.of(spec), len(command)
    feet = [spec.contact_names.index(name) for name in spec.foot_names]
    gait = SteppingGait(spec, load_gait_settings(spec), count)
    rng = np.random.default_rng(0)
    gait.begin(np.arange(count), rng.integers(0, 2, count))
    fell, velocity = np.zeros(count, dtype=bool), np.zeros((count, 3))
    touching, landings = np.ones((count, 2)), np.zeros((count, 2))
    ticks = round(SECONDS / spec.control_dt_s)
    with RobotBatch(spec, count, seed=0, threads=2) as batch:
        state = batch.state()
        for tick in range(ticks):
            outcome = batch.step(gait.act(state, touching, command))
            state, before = outcome.true_state, touching
            touching = outcome.contact[:, feet]
            landings += (touching > before).astype(float)
            fell |= outcome.fell
            if tick >= ticks // 2:
                velocity[:, :2] += state[:, columns.base_linear_velocity_mps.slice][:, :2]
                velocity[:, 2] += state[:, columns.base_angular_velocity_radps.slice][:, 2]
            if push_mps and tick % 100 == 50:
                batch.push(np.arange(count), rng.uniform(-push_mps, push_mps, (count, 2)))
    return fell, velocity / (ticks - ticks // 2), landings


@pytest.mark.parametrize(
    "command", [(0.0, 0.0, 0.0), (0.5, 0.0, 0.0), (-0.3, 0.0, 0.0), (0.3, 0.0, 0.5)]
)
def test_it_goes_where_it_is_asked_to(biped: RobotSpec, command) -> None:
    fell, velocity, landings = walked(biped, np.tile(command, (16, 1)))
    assert fell.sum() <= 1
    np.testing.assert_allclose(velocity[~fell].mean(axis=0), command, atol=0.25)
    assert landings[~fell].min() >= 5


def test_pushed_it_steps_and_stays_up(biped: RobotSpec) -> None:
    fell, _, _ = walked(biped, np.tile((0.3, 0.0, 0.0), (32, 1)), push_mps=0.3)
    assert fell.mean() <= 0.2


def test_robots_do_not_know_of_one_another(biped: RobotSpec) -> None:
    state = np.zeros((3, TransitionColumns.of(biped).state_size))
    state[:, TransitionColumns.of(biped).projected_gravity.slice] = (0.1, 0.0, -0.995)
    command = np.array([[0.5, 0.0, 0.0], [0.0, 0.2, 0.3], [-0.2, 0.0, 0.0]])
    settings, touching = load_gait_settings(biped), np.ones((3, 2))
    together, standing = SteppingGait(biped, settings, 3), np.array([0, 1, 0])
    together.begin(np.arange(3), standing)
    actions = together.act(state, touching, command)
    for robot in range(3):
        alone = SteppingGait(biped, settings, 1)
        alone.begin(np.zeros(1, dtype=int), standing[robot : robot + 1])
        own = slice(robot, robot + 1)
        np.testing.assert_allclose(
            alone.act(state[own], touching[own], command[own]), actions[own]
        )


def test_a_robot_put_down_anew_begins_anew(biped: RobotSpec) -> None:
    columns = TransitionColumns.of(biped)
    state = np.zeros((2, columns.state_size))
    state[:, columns.projected_gravity.slice] = (0.0, 0.0, -1.0)
    gait = SteppingGait(biped, load_gait_settings(biped), 2)
    standing, still = np.zeros(2, dtype=int), np.zeros((2, 3))
    gait.begin(np.arange(2), standing)
    first = gait.act(state, np.ones((2, 2)), still)
    later = gait.act(state, np.ones((2, 2)), still)
    gait.begin(np.array([1]), standing[:1])
    again = gait.act(state, np.ones((2, 2)), still)
    assert not np.allclose(first[0], later[0])
    np.testing.assert_allclose(again[1], first[1])
    assert not np.allclose(again[0], first[0])


def test_settings_may_differ_from_robot_to_robot(biped: RobotSpec) -> None:
    columns = TransitionColumns.of(biped)
    state = np.zeros((2, columns.state_size))
    state[:, columns.projected_gravity.slice] = (0.0, 0.0, -1.0)
    settings = load_gait_settings(biped)
    lift = np.array([0.02, 0.08])
    gait = SteppingGait(biped, replace(settings, lift_m=lift), 2)
    action = gait.act(state, np.ones((2, 2)), np.zeros((2, 3)))
    assert not np.allclose(action[0], action[1])


def test_a_robot_on_four_legs_is_refused(biped: RobotSpec) -> None:
    with pytest.raises(RobotSpecError, match="allowed are two of 6"):
        SteppingGait(load_robot_spec("anymal_d"), load_gait_settings(biped), 1)
