"""Which sequences a batch is made of."""

from dataclasses import replace

import numpy as np
import pytest
from small_training import TINY

from rwmu_train.transitions.normaliser import released_normaliser
from rwmu_train.world_model.sequence_sampler import SequenceSampler


@pytest.fixture
def falling(small_dataset):
    """Of the small data set's episodes, the first ends in a fall."""
    rows = small_dataset.rows.copy()
    rows[:, small_dataset.columns.termination.slice] = 0.0
    rows[small_dataset.episode_end[0] - 1, small_dataset.columns.termination.slice] = 1.0
    return replace(small_dataset, rows=rows)


def sampler(dataset, **settings) -> SequenceSampler:
    changed = replace(TINY, bootstrap="none", batch_size=400, **settings)
    return SequenceSampler(dataset, released_normaliser(dataset.spec), changed, seed=0)


def falls_seen(dataset, share: float) -> float:
    """Share of sequences whose last row, and no other, is a fall."""
    fell = sampler(dataset, fall_share=share).batch(0).termination.numpy()
    assert fell[:-1].sum() == 0.0
    return float(fell[-1].mean())


def test_a_share_of_the_sequences_ends_in_a_fall(falling) -> None:
    assert falls_seen(falling, 0.0) < 0.03
    assert falls_seen(falling, 0.3) == pytest.approx(0.3, abs=0.08)
    assert falls_seen(falling, 1.0) == 1.0


def test_without_falls_sequences_are_drawn_as_ever(small_dataset) -> None:
    rows = small_dataset.rows.copy()
    rows[:, small_dataset.columns.termination.slice] = 0.0
    none = replace(small_dataset, rows=rows)
    assert falls_seen(none, 0.5) == 0.0


def test_draws_of_falls_depend_on_seed_and_iteration_alone(falling) -> None:
    one, two = (sampler(falling, fall_share=0.3) for _ in range(2))
    one.batch(0)
    np.testing.assert_array_equal(one.batch(5).state, two.batch(5).state)
    assert not np.array_equal(one.batch(6).state, two.batch(5).state)
