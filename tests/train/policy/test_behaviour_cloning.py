import contextlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from rsl_rl.models import MLPModel
from tensordict import TensorDict
from torch import Tensor

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.environment.observation_torch import ActorView
from rwmu_train.policy.behaviour_cloning import clone_behaviour, weight_of_episodes
from rwmu_train.policy.demonstrations import (
    CloningSettings,
    Demonstrations,
    choose_demonstrations,
)
from rwmu_train.task.velocity_task import ObservationNoise

SETTINGS = CloningSettings(steps=300, batch_size=64, best_share=1.0, least_rows=0, horizon_rows=10)


def actor() -> MLPModel:
    torch.manual_seed(0)
    observation = TensorDict({"policy": torch.zeros(1, 48)}, batch_size=[1])
    return MLPModel(observation, {"actor": ["policy"]}, "actor", 12, [32], "elu")


def test_cloning_lowers_the_action_error(small_dataset) -> None:
    model, chosen = actor(), choose_demonstrations(small_dataset, SETTINGS)
    losses: list[float] = []
    clone_behaviour(
        model,
        chosen,
        ActorView(small_dataset.spec, ObservationNoise()),
        SETTINGS,
        seed=0,
        on_step=lambda _, loss: losses.append(loss),
    )
    assert np.mean(losses[-20:]) < 0.7 * np.mean(losses[:5])


def two_episodes() -> Demonstrations:
    """One that `actor()` explains but for an error of 0.1, one but for 0.4; ten rows each."""
    seen = torch.randn(20, 48, generator=torch.Generator().manual_seed(1))
    error = torch.tensor([0.1] * 10 + [0.4] * 10).unsqueeze(1)
    with torch.no_grad():
        action = actor().mlp(seen) + error
    return Demonstrations(seen, action, episode=torch.tensor([7] * 10 + [9] * 10))


@pytest.mark.parametrize(
    ("power", "first", "second"),
    [(0.5, 0.4, 1.6), (1.0, 2 / 17, 32 / 17), (-1.0, 32 / 17, 2 / 17)],
)
def test_an_episode_counts_as_its_mean_square_error_to_a_power(power, first, second) -> None:
    # Errors are 0.01 and 0.16: roots 1 to 4, of which 0.4 and 1.6 have a mean of 1.
    weight = weight_of_episodes(actor(), two_episodes(), power)
    wanted = torch.tensor([first] * 10 + [second] * 10).unsqueeze(1)
    torch.testing.assert_close(weight, wanted, rtol=1e-3, atol=1e-3)


def test_a_single_row_that_nobody_explains_does_not_outweigh_all() -> None:
    shown = two_episodes()
    assert shown.episode is not None
    shown.action[-1] += 100.0
    shown.episode[-1] = 11
    weight = weight_of_episodes(actor(), shown, 1.0)
    assert weight[-1] == weight[-2] > 1.0


def test_rows_of_unknown_episodes_count_alike() -> None:
    shown = replace(two_episodes(), episode=None)
    assert (weight_of_episodes(actor(), shown, 1.0) == 1.0).all()


def test_only_the_second_half_of_the_steps_is_weighted(small_dataset) -> None:
    chosen = choose_demonstrations(small_dataset, SETTINGS)

    def weights_after(steps: int, power: float) -> Tensor:
        model = actor()
        settings = replace(SETTINGS, steps=10, weight_by_error=power)

        def stop(step: int, _: float) -> None:
            if step == steps:
                raise KeyboardInterrupt

        view = ActorView(small_dataset.spec, ObservationNoise())
        with contextlib.suppress(KeyboardInterrupt):
            clone_behaviour(model, chosen, view, settings, seed=0, on_step=stop)
        return model.mlp[0].weight.detach()

    assert torch.equal(weights_after(5, 0.5), weights_after(5, 0.0))
    assert not torch.equal(weights_after(6, 0.5), weights_after(6, 0.0))


@pytest.mark.parametrize("power", [-1.1, 2.0, float("nan")])
def test_other_powers_are_refused(power) -> None:
    with pytest.raises(ConfigError, match=r"weight_by_error is .*; allowed is -1 to 1"):
        replace(SETTINGS, weight_by_error=power)
