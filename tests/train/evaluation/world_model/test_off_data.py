"""Data of another kind: a forecast that stands still, and how far truth walks away from it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_train.evaluation.world_model.off_data import IN_DATA, judge_off_data
from rwmu_train.world_model.ensemble import WorldModel


@pytest.fixture
def standing(facts) -> WorldModel:
    """Forecasts no change; the members disagree by a bounded amount that the trunk decides."""
    torch.manual_seed(0)
    model = WorldModel(facts.architecture)
    with torch.no_grad():
        model.mean_heads.output_bias.zero_()
        model.mean_heads.hidden_weight[1] = model.mean_heads.hidden_weight[0]
        model.mean_heads.hidden_bias[1] = model.mean_heads.hidden_bias[0]
        model.mean_heads.output_weight[1] = -model.mean_heads.output_weight[0]
    return model


def ramp(dataset, slope: float):
    """Forward velocity rises by `slope` m/s a row; everything else stands still."""
    rows = np.zeros_like(dataset.rows)
    rows[:, 0] = slope * (np.arange(len(rows)) % 150)
    return replace(dataset, rows=rows)


def score(model, dataset, facts, **off):
    return judge_off_data(
        model, dataset, off, facts.normaliser, "mean", history=8, windows=40, seed=0
    )


def test_errors_by_hand(standing, small_dataset, facts) -> None:
    """Normalised by 0.5 m/s, a slope of 0.1 is an error of 0.2 a step."""
    found = score(standing, ramp(small_dataset, 0.1), facts, fast=ramp(small_dataset, 0.3))
    assert list(found.sets) == [IN_DATA, "fast"]
    assert found.sets[IN_DATA].error == pytest.approx({1: 0.2, 8: 1.6, 32: 6.4}, rel=1e-3)
    assert found.sets["fast"].error == pytest.approx({1: 0.6, 8: 4.8, 32: 19.2}, rel=1e-3)
    assert found.sets["fast"].large_error_share == {1: 1.0, 8: 1.0, 32: 1.0}
    assert found.sets["fast"].episodes == 6


def test_auroc_is_that_of_telling_the_sets_apart(standing, small_dataset, facts) -> None:
    with torch.no_grad():
        standing.mean_heads.hidden_weight.mul_(4.0)
    found = score(standing, ramp(small_dataset, 0.01), facts, fast=ramp(small_dataset, 1.0))
    apart = found.sets["fast"].uncertainty[1] > found.sets[IN_DATA].uncertainty[1]
    assert found.auroc[1] is not None
    assert (found.auroc[1] > 0.5) == apart


def test_a_set_without_long_episodes_is_refused(standing, small_dataset, facts) -> None:
    short = replace(small_dataset, episode_end=small_dataset.episode_start + 39)
    with pytest.raises(TransitionFileError, match="has 40 rows"):
        score(standing, small_dataset, facts, short=short)
