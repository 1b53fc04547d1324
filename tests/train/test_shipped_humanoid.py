"""The policy that ships for the humanoid walks where it is told."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_train.environment.observation_torch import build_observation
from rwmu_train.reference.bundle_policy import load_bundle_policy

BUNDLE = Path(__file__).parents[2] / "exports" / "g1_flat"
ROBOTS, SECONDS = 32, 8.0


@pytest.mark.parametrize(
    ("command", "tolerance"),
    [((0.0, 0.0, 0.0), 0.1), ((0.6, 0.0, 0.0), 0.15), ((0.2, 0.0, 0.5), 0.25)],
)
def test_it_walks_where_it_is_told(command, tolerance: float) -> None:
    spec = load_robot_spec("g1")
    columns, act = TransitionColumns.of(spec), load_bundle_policy(BUNDLE, spec)
    told = torch.tensor(command).repeat(ROBOTS, 1)
    action, fell = torch.zeros(ROBOTS, spec.joint_count), np.zeros(ROBOTS, dtype=bool)
    ticks, velocity = round(SECONDS / spec.control_dt_s), np.zeros((ROBOTS, 3))
    with RobotBatch(spec, ROBOTS, seed=0, threads=2) as batch:
        state = batch.state()
        for tick in range(ticks):
            seen = torch.from_numpy(state.astype(np.float32))
            action = act(build_observation(columns, seen, told, action))
            outcome = batch.step(action.numpy().astype(np.float64))
            state, fell = outcome.state, fell | outcome.fell
            if tick >= ticks // 2:
                velocity[:, :2] += state[:, columns.base_linear_velocity_mps.slice][:, :2]
                velocity[:, 2] += state[:, columns.base_angular_velocity_radps.slice][:, 2]
    assert fell.sum() <= 1
    mean = velocity[~fell].mean(axis=0) / (ticks - ticks // 2)
    np.testing.assert_allclose(mean, command, atol=tolerance)
