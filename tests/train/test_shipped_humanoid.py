"""The policy that ships for the humanoid walks where it is told."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_deploy.simulation.robot_variant import FIELD, NOMINAL, RobotVariant
from rwmu_train.environment.observation_torch import build_observation
from rwmu_train.reference.bundle_policy import load_bundle_policy

BUNDLE = Path(__file__).parents[2] / "exports" / "g1_flat"
SPEC = load_robot_spec("g1")
COLUMNS = TransitionColumns.of(SPEC)
LIMITS, DT_S = SPEC.safety, SPEC.control_dt_s
ROBOTS = 32
Told = tuple[float, float, float]


def walked(
    command: Told,
    seconds: float,
    *,
    variant: RobotVariant = NOMINAL,
    late: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which robots fell (N,), and mean vx, vy, wz of the others over the second half.

    `late` says in which ticks (ticks, N) a robot's command stays as it was.
    """
    act = load_bundle_policy(BUNDLE, SPEC)
    told = torch.tensor(command).repeat(ROBOTS, 1)
    action, fell = torch.zeros(ROBOTS, SPEC.joint_count), np.zeros(ROBOTS, dtype=bool)
    ticks, velocity = round(seconds / DT_S), np.zeros((ROBOTS, 3))
    late = np.zeros((ticks, ROBOTS), dtype=bool) if late is None else late
    with RobotBatch(SPEC, ROBOTS, seed=0, threads=2, variant=variant) as batch:
        state = batch.state()
        for tick in range(ticks):
            seen = torch.from_numpy(state.astype(np.float32))
            answer = act(build_observation(COLUMNS, seen, told, action))
            action = torch.where(torch.from_numpy(late[tick])[:, None], action, answer)
            outcome = batch.step(action.numpy().astype(np.float64))
            state, fell = outcome.state, fell | outcome.fell
            if tick >= ticks // 2:
                velocity[:, :2] += state[:, COLUMNS.base_linear_velocity_mps.slice][:, :2]
                velocity[:, 2] += state[:, COLUMNS.base_angular_velocity_radps.slice][:, 2]
    return fell, velocity[~fell].mean(axis=0) / (ticks - ticks // 2)


@pytest.mark.parametrize(
    ("command", "tolerance"),
    [((0.0, 0.0, 0.0), 0.1), ((0.6, 0.0, 0.0), 0.15), ((0.2, 0.0, 0.5), 0.25)],
)
def test_it_walks_where_it_is_told(command: Told, tolerance: float) -> None:
    fell, mean = walked(command, 8.0)
    assert fell.sum() <= 1
    np.testing.assert_allclose(mean, command, atol=tolerance)


def test_it_walks_through_as_many_late_ticks_as_its_limits_let_pass() -> None:
    late_share = (LIMITS.late_ticks_per_s_hold - 1.0) * DT_S
    late = np.random.default_rng(0).random((400, ROBOTS)) < late_share
    fell, _ = walked((0.3, 0.0, 0.3), 8.0, late=late)
    assert fell.sum() <= 1


def test_it_walks_through_a_hold_until_measurements_are_too_old() -> None:
    """And until HOLD has ended; once a second, in every phase of a step."""
    held = round((LIMITS.sensor_age_damp_s + LIMITS.recovery_s) / DT_S)
    tick = np.arange(400)[:, None] + np.arange(ROBOTS)
    fell, _ = walked((0.3, 0.0, 0.3), 8.0, late=(tick % 50 < held) & (tick >= 100))
    assert fell.sum() <= 1


def test_few_fall_where_the_robot_is_not_what_its_model_says() -> None:
    """Payload, friction, delay and sensors that no row of its data knows."""
    fell, _ = walked((0.3, 0.0, 0.3), 10.0, variant=FIELD)
    assert fell.sum() <= 3
