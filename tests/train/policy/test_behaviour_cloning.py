from dataclasses import replace

import numpy as np
import pytest
import torch
from rsl_rl.models import MLPModel
from tensordict import TensorDict

from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_train.environment.observation_torch import ActorView
from rwmu_train.policy.behaviour_cloning import clone_behaviour
from rwmu_train.policy.demonstrations import CloningSettings, choose_demonstrations
from rwmu_train.task.velocity_task import ObservationNoise

SETTINGS = CloningSettings(steps=300, batch_size=64, best_share=1.0, least_rows=0, horizon_rows=10)


def actor() -> MLPModel:
    torch.manual_seed(0)
    observation = TensorDict({"policy": torch.zeros(1, 48)}, batch_size=[1])
    return MLPModel(observation, {"actor": ["policy"]}, "actor", 12, [32], "elu")


def test_an_observation_is_paired_with_the_action_that_followed_it(small_dataset) -> None:
    chosen = choose_demonstrations(small_dataset, SETTINGS)
    rows = small_dataset.rows
    row = 150 + 7  # in the second episode; 10 rows ahead are left out of the first
    index = (150 - 10) + 7
    np.testing.assert_array_equal(chosen.observation[index, :9], rows[row, :9])
    np.testing.assert_array_equal(chosen.observation[index, 36:48], rows[row, 45:57])
    np.testing.assert_array_equal(chosen.action[index], rows[row + 1, 45:57])
    np.testing.assert_allclose(chosen.observation[index, 9:12], [0.1, 0.0, 0.0], atol=1e-7)


def test_without_commands_the_velocity_then_reached_stands_in(small_dataset) -> None:
    unknown = np.full_like(small_dataset.velocity_command, np.nan)
    chosen = choose_demonstrations(replace(small_dataset, velocity_command=unknown), SETTINGS)
    ahead = small_dataset.rows[1:11]
    expected = [*ahead[:, :2].mean(axis=0), ahead[:, 5].mean()]
    np.testing.assert_allclose(chosen.observation[0, 9:12], expected, atol=1e-6)


def test_the_rows_that_follow_their_commands_best_are_imitated(small_dataset) -> None:
    # Episode 0 commands 0 and the drawn velocities are near 0; episode 5 commands 0.5 m/s.
    best = choose_demonstrations(small_dataset, replace(SETTINGS, best_share=0.2))
    asked = best.observation[:, 9]
    assert asked.mean() < 0.6 * 0.25
    assert 0.15 * 840 < len(asked) < 0.25 * 840


def test_the_best_episodes_are_imitated_whole(small_dataset) -> None:
    settings = replace(SETTINGS, best_share=0.2, best_of="episodes")
    whole = choose_demonstrations(small_dataset, SETTINGS).observation
    best = choose_demonstrations(small_dataset, settings).observation
    # Two of six episodes at most, each with all the rows that have 10 more ahead.
    commands, counts = np.unique(best[:, 9], return_counts=True)
    assert 1 <= len(commands) <= 2
    for command, count in zip(commands, counts, strict=True):
        assert count == (whole[:, 9] == command).sum()
    assert commands[0] == 0.0


def test_each_source_of_a_mix_is_imitated_in_its_share(small_dataset) -> None:
    half = int(small_dataset.episode_start[3])
    (file,) = small_dataset.files[:1]
    files = (
        replace(file, first_row=0, row_count=half, source="sim"),
        replace(file, first_row=half, row_count=len(small_dataset.rows) - half, source="real"),
    )
    mixed = replace(small_dataset, files=files, mix={"sim": 0.25, "real": 0.75})
    # All of it alike would be the first episodes, which follow their commands best.
    best = choose_demonstrations(mixed, replace(SETTINGS, best_share=0.3))
    is_real = best.observation[:, 9] > 0.25
    assert is_real.float().mean() == pytest.approx(0.75, abs=0.01)


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


def test_of_few_rows_more_are_imitated(small_dataset) -> None:
    whole = len(choose_demonstrations(small_dataset, SETTINGS).action)
    settings = replace(SETTINGS, best_share=0.2)
    for least, kept in ((0, 0.2), (whole // 10, 0.2), (whole // 2, 0.5), (10 * whole, 1.0)):
        chosen = choose_demonstrations(small_dataset, replace(settings, least_rows=least))
        assert len(chosen.action) / whole == pytest.approx(kept, abs=0.03)


def test_data_shorter_than_the_horizon_are_refused(small_dataset) -> None:
    with pytest.raises(TransitionFileError, match="no episode has 501 rows"):
        choose_demonstrations(small_dataset, replace(SETTINGS, horizon_rows=500))
