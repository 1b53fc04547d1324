"""Correlation with error, with and without the horizon's part in it."""

import numpy as np
import pytest

from rwmu_train.evaluation.world_model.uncertainty_ranking import (
    rank_uncertainty,
    step_index_baseline,
)


def test_an_uncertainty_that_only_counts_steps_is_no_better_than_the_step_number() -> None:
    step = np.arange(1.0, 11.0)[:, None]
    error = step * np.random.default_rng(0).uniform(0.5, 1.5, (10, 50))
    found = rank_uncertainty(np.broadcast_to(2.0 * step, error.shape), error, (1, 10))
    baseline = step_index_baseline(error)
    assert found.all_points.pearson == pytest.approx(baseline.all_points.pearson)
    assert found.step_averaged.pearson == pytest.approx(baseline.step_averaged.pearson)
    assert found.step_averaged.spearman == pytest.approx(1.0)
    assert found.by_step[10].pearson is None, "at one step it says nothing"


def test_steps_are_counted_from_1() -> None:
    error = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    found = rank_uncertainty(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]), error, (1, 2))
    assert found.by_step[1].pearson == pytest.approx(1.0)
    assert found.by_step[2].pearson == pytest.approx(-1.0)


def test_a_true_uncertainty_is_found_at_every_step() -> None:
    error = np.random.default_rng(0).random((3, 40))
    found = rank_uncertainty(np.sqrt(error), error, (1, 2, 3))
    assert all(c.spearman == pytest.approx(1.0) for c in found.by_step.values())
    assert found.all_points.spearman == pytest.approx(1.0)
