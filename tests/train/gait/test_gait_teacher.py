"""A teacher of stepping answers to what a policy observes."""

import numpy as np
import torch

from rwmu_deploy.contract.observation import observation_size
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.environment.observation_torch import build_observation
from rwmu_train.gait.gait_settings import load_gait_settings
from rwmu_train.gait.gait_teacher import load_gait_teacher
from rwmu_train.gait.stepping_gait import SteppingGait


def test_its_answer_is_the_gaits(biped: RobotSpec) -> None:
    columns = TransitionColumns.of(biped)
    rng = np.random.default_rng(0)
    state = rng.normal(0.0, 0.05, (4, columns.state_size)).astype(np.float32)
    state[:, columns.projected_gravity.slice] = (0.05, 0.02, -0.998)
    command = rng.uniform(-0.5, 0.5, (4, 3)).astype(np.float32)
    last = torch.zeros(4, biped.joint_count)
    seen = build_observation(columns, torch.tensor(state), torch.tensor(command), last)
    assert seen.shape[1] == observation_size(biped)
    robots = load_gait_teacher(biped).for_robots(4)
    robots.begin(torch.arange(4), torch.tensor(command))
    gait = SteppingGait(biped, load_gait_settings(biped), 4)
    left, right = gait.feet_left_and_right
    assert biped.foot_names[left].startswith("left")
    assert biped.foot_names[right].startswith("right")
    # Who is asked to go to the left stands on the right foot, and sets out with the left.
    gait.begin(np.arange(4), np.where(command[:, 1] > 0.0, right, left))
    expected = gait.act(state.astype(np.float64), np.ones((4, 2)), command.astype(np.float64))
    answer = robots.act(seen, torch.ones(4, 2)).numpy()
    np.testing.assert_allclose(answer, expected, rtol=1e-3, atol=1e-3)


def test_another_gait_is_another_teacher(biped: RobotSpec) -> None:
    teacher = load_gait_teacher(biped)
    assert len(teacher.sha256) == 64
    assert teacher.sha256 == load_gait_teacher(biped).sha256
