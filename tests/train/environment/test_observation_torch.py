import numpy as np
import torch

from rwmu_deploy.contract import observation as numpy_observation
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.environment.observation_torch import build_observation, noise_half_width
from rwmu_train.task.velocity_task import ObservationNoise

SPEC = load_robot_spec("anymal_d")
COLUMNS = TransitionColumns.of(SPEC)


def test_torch_and_numpy_build_the_same_observation(trials) -> None:
    rng = np.random.default_rng(0)
    state = rng.normal(size=(1000, 45)).astype(np.float32)
    command = rng.normal(size=(1000, 3)).astype(np.float32)
    action = rng.normal(size=(1000, 12)).astype(np.float32)
    ours = build_observation(COLUMNS, *map(torch.from_numpy, (state, command, action)))
    theirs = numpy_observation.build_observation(COLUMNS, state, command, action)
    np.testing.assert_array_equal(ours.numpy(), theirs)
    trials("T-25", len(state))


def test_the_observation_has_the_published_order() -> None:
    state = torch.arange(45.0)
    observation = build_observation(
        COLUMNS, state, torch.tensor([100.0, 101.0, 102.0]), torch.arange(200.0, 212.0)
    )
    expected = [*range(9), 100, 101, 102, *range(9, 33), *range(200, 212)]
    assert observation.tolist() == expected


def test_noise_is_the_published_one_and_can_be_replaced_by_term() -> None:
    width = noise_half_width(SPEC, ObservationNoise(2.0, {"joint_velocity_radps": 0.5}))
    expected = (
        [0.2] * 3 + [0.4] * 3 + [0.1] * 3 + [0.0] * 3 + [0.02] * 12 + [1.0] * 12 + [0.0] * 12
    )
    torch.testing.assert_close(width, torch.tensor(expected))
