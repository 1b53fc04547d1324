from dataclasses import replace

import numpy as np
import pytest
import torch
from rsl_rl.models import MLPModel
from tensordict import TensorDict

from rwmu_train.environment.observation_torch import ActorView
from rwmu_train.policy.behaviour_cloning import clone_behaviour
from rwmu_train.policy.demonstrations import CloningSettings, Demonstrations, choose_demonstrations
from rwmu_train.task.velocity_task import ObservationNoise

SETTINGS = CloningSettings(steps=300, batch_size=64, best_share=1.0, least_rows=0, horizon_rows=10)


def actor(normalised: bool = False) -> MLPModel:
    torch.manual_seed(0)
    observation = TensorDict({"policy": torch.zeros(1, 48)}, batch_size=[1])
    return MLPModel(
        observation, {"actor": ["policy"]}, "actor", 12, [32], "elu", obs_normalization=normalised
    )


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


def as_it_is(observation: torch.Tensor, _: torch.Generator) -> torch.Tensor:
    return observation


def demonstrations(scale: list[float], offset: float = 0.0) -> Demonstrations:
    """Answers to 48 entries, of which entry k alone moves joint k."""
    generator = torch.Generator().manual_seed(1)
    standard = torch.randn((2000, 48), generator=generator)
    return Demonstrations(standard * torch.tensor(scale) + offset, standard[:, :12].clone())


def test_small_entries_are_learned_as_fast_as_large_ones() -> None:
    scale = [0.02, 20.0] * 24
    model, shown = actor(), demonstrations(scale, offset=3.0)
    clone_behaviour(model, shown, as_it_is, replace(SETTINGS, steps=600), seed=0, fresh=True)
    error = (model.mlp(shown.observation) - shown.action).square().mean(0).detach()
    small, large = error[0::2].mean(), error[1::2].mean()
    assert small < 0.3
    assert 0.5 < small / large < 2.0


@pytest.mark.parametrize("normalised", [False, True])
def test_an_actor_that_is_not_fresh_goes_on_from_what_it_can_do(normalised: bool) -> None:
    model, shown = actor(normalised), demonstrations([0.02, 20.0] * 24, offset=1.0)
    model.update_normalization(TensorDict({"policy": shown.observation}, batch_size=[2000]))
    inputs = model.obs_normalizer(shown.observation)
    before = model.mlp(inputs).detach()
    almost_nothing = replace(SETTINGS, steps=10, learning_rate=1e-12)
    clone_behaviour(model, shown, as_it_is, almost_nothing, seed=0)
    torch.testing.assert_close(model.mlp(inputs), before, rtol=1e-5, atol=1e-5)


def test_an_entry_that_never_changes_gets_no_large_weight() -> None:
    model, shown = actor(), demonstrations([1.0] * 47 + [0.0], offset=2.0)
    clone_behaviour(model, shown, as_it_is, SETTINGS, seed=0, fresh=True)
    weights = next(model.mlp.parameters()).detach()
    assert torch.isfinite(weights).all()
    assert weights[:, 47].abs().max() < 1.0
