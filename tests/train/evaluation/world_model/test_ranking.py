"""Correlations and areas under curves, by hand and by their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwmu_train.evaluation.world_model.ranking import (
    auroc,
    pearson,
    precision_recall,
    ranks,
    spearman,
)

SCORES = st.lists(st.integers(-5, 5), min_size=2, max_size=20).map(np.array)


def test_pearson_and_spearman_by_hand() -> None:
    x, y = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 9.0])
    # Centred: (-1, 0, 1) and (-3, -2, 5): 8 / sqrt(2 * 38).
    assert pearson(x, y) == pytest.approx(8 / 76**0.5)
    assert spearman(x, y) == pytest.approx(1.0)


def test_ties_share_their_mean_rank() -> None:
    assert ranks(np.array([[5.0, 1.0], [5.0, 7.0]])).tolist() == [2.5, 1.0, 2.5, 4.0]


def test_what_is_constant_ranks_nothing() -> None:
    assert pearson(np.ones(3), np.arange(3.0)) is None
    assert spearman(np.arange(3.0), np.ones(3)) is None
    assert auroc(np.arange(3.0), np.zeros(3, bool)) is None
    assert auroc(np.arange(3.0), np.ones(3, bool)) is None
    assert precision_recall(np.arange(3.0), np.zeros(3, bool)) is None


def test_auroc_counts_pairs_and_halves_ties() -> None:
    score = np.array([0.9, 0.5, 0.5, 0.1])
    # Positives 0.9 and 0.5 against negatives 0.5 and 0.1: three wins and a tie of four pairs.
    assert auroc(score, np.array([True, True, False, False])) == pytest.approx(3.5 / 4)


def test_average_precision_by_hand() -> None:
    curve = precision_recall(np.array([0.2, 0.9, 0.7, 0.4]), np.array([False, True, False, True]))
    assert curve is not None
    assert curve.threshold.tolist() == [0.9, 0.7, 0.4, 0.2]
    assert curve.precision.tolist() == pytest.approx([1.0, 1 / 2, 2 / 3, 2 / 4])
    assert curve.recall.tolist() == [0.5, 0.5, 1.0, 1.0]
    assert curve.average_precision == pytest.approx(0.5 * 1.0 + 0.5 * 2 / 3)
    assert [curve.recall_at(p) for p in (0.5, 0.6, 0.9)] == [1.0, 1.0, 0.5]


def test_equal_scores_are_one_threshold() -> None:
    curve = precision_recall(np.ones(10), np.arange(10) < 3)
    assert curve is not None
    assert curve.recall.tolist() == [1.0]
    assert curve.average_precision == pytest.approx(0.3)
    assert curve.recall_at(0.9) == 0.0


def test_a_thinned_curve_keeps_both_ends() -> None:
    curve = precision_recall(np.arange(1000.0), np.arange(1000) % 7 == 0)
    assert curve is not None
    few = curve.thinned(50)
    assert 40 <= len(few.threshold) <= 50
    assert (few.threshold[0], few.threshold[-1]) == (999.0, 0.0)
    assert few.recall[-1] == 1.0


def test_a_thinned_curve_shows_where_rare_positives_are_found() -> None:
    # 10 positives: the best score, and every tenth after 100 false alarms.
    positive = np.zeros(10_000, dtype=bool)
    positive[[0, *range(110, 200, 10)]] = True
    curve = precision_recall(-np.arange(10_000.0), positive)
    assert curve is not None
    few = curve.thinned(50)
    assert few.recall_at(0.01) == curve.recall_at(0.01) == 1.0
    assert few.recall_at(0.5) == curve.recall_at(0.5) == pytest.approx(0.1)
    second = few.precision[np.isclose(few.recall, 0.2)]
    assert second[0] == pytest.approx(2 / 111)


@given(SCORES, st.integers(0, 10_000))
def test_turning_the_score_around_turns_auroc_around(score, seed) -> None:
    positive = np.random.default_rng(seed).random(len(score)) < 0.5
    area = auroc(score, positive)
    if area is not None:
        assert 0.0 <= area <= 1.0
        assert auroc(-score, positive) == pytest.approx(1.0 - area)


@given(SCORES, st.integers(0, 10_000))
def test_only_the_order_counts_for_spearman(score, seed) -> None:
    other = np.random.default_rng(seed).normal(size=len(score))
    found = spearman(score, other)
    if found is not None:
        assert spearman(np.exp(score.astype(float)), 3.0 * other - 1.0) == pytest.approx(found)
