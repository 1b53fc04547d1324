"""The linear baseline in a world that is linear, and in the bounds of episodes."""

from dataclasses import replace

import numpy as np
import pytest

from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_train.evaluation.world_model.forecast_windows import draw_windows
from rwmu_train.evaluation.world_model.linear_baseline import fit_linear
from rwmu_train.transitions.normaliser import released_normaliser


@pytest.fixture
def linear_world(small_dataset):
    """Every state entry decays by a tenth a step and gets 0.2 of the first action."""
    rows = small_dataset.rows.copy()
    columns, normaliser = small_dataset.columns, released_normaliser(small_dataset.spec)
    rng = np.random.default_rng(0)
    for start, end in zip(small_dataset.episode_start, small_dataset.episode_end, strict=True):
        state = rng.normal(size=columns.state_size)
        for row in range(start, end):
            state = 0.9 * state + 0.2 * rows[row, columns.action.slice][0]
            rows[row, columns.state] = normaliser.denormalise(state.astype(np.float32))
    return replace(small_dataset, rows=rows)


def test_a_linear_world_is_forecast_to_its_end(linear_world) -> None:
    normaliser = released_normaliser(linear_world.spec)
    baseline = fit_linear(linear_world, normaliser)
    windows = draw_windows(linear_world, normaliser, history=5, horizon=50, count=8, seed=0)
    np.testing.assert_allclose(baseline.forecast(windows), windows.target, atol=2e-3)


def test_rows_of_different_episodes_are_never_a_pair(linear_world) -> None:
    normaliser = released_normaliser(linear_world.spec)
    without = replace(
        linear_world,
        episode_start=np.delete(linear_world.episode_start, 1),
        episode_end=np.delete(linear_world.episode_end, 1),
    )
    rows = linear_world.rows.copy()
    rows[150:300] = 1e4
    np.testing.assert_array_equal(
        fit_linear(replace(without, rows=rows), normaliser).weight,
        fit_linear(without, normaliser).weight,
    )


def test_episodes_of_one_row_are_refused(small_dataset) -> None:
    short = replace(small_dataset, episode_end=small_dataset.episode_start + 1)
    with pytest.raises(TransitionFileError, match="no episode has two rows"):
        fit_linear(short, released_normaliser(short.spec))
