import numpy as np
import pytest
import torch

from rwmu_deploy.contract import observation as numpy_observation
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.environment.observation_torch import ActorView, build_observation
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
    width = ActorView(SPEC, ObservationNoise(2.0, {"joint_velocity_radps": 0.5})).noise_half_width
    expected = (
        [0.2] * 3 + [0.4] * 3 + [0.1] * 3 + [0.0] * 3 + [0.02] * 12 + [1.0] * 12 + [0.0] * 12
    )
    torch.testing.assert_close(width, torch.tensor(expected))


def test_the_actor_sees_zeros_where_it_sees_nothing_and_noise_elsewhere() -> None:
    view = ActorView(SPEC, ObservationNoise(unseen=("base_linear_velocity_mps",)))
    clean = torch.full((1000, 48), 3.0)
    seen = view(clean, torch.Generator().manual_seed(0))
    assert (seen[:, :3] == 0.0).all()
    error = (seen - clean)[:, 3:].abs().amax(0)
    expected = [0.2] * 3 + [0.05] * 3 + [0.0] * 3 + [0.01] * 12 + [1.5] * 12 + [0.0] * 12
    torch.testing.assert_close(error, torch.tensor(expected), rtol=0.02, atol=1e-6)


def test_a_term_that_no_observation_has_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"no base_velocity; allowed are base_linear_velocity_m"):
        ActorView(SPEC, ObservationNoise(unseen=("base_velocity",)))
    with pytest.raises(ConfigError, match=r"no gravity; allowed are"):
        ActorView(SPEC, ObservationNoise(extra={"gravity": 0.1}))
