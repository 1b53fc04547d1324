import numpy as np
import torch
from rsl_rl.models import MLPModel
from tensordict import TensorDict

from rwmu_train.environment.observation_torch import ActorView
from rwmu_train.policy.behaviour_cloning import clone_behaviour
from rwmu_train.policy.demonstrations import CloningSettings, choose_demonstrations
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
