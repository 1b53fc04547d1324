"""The whole judgement: halves that don't meet, and notes that say what is odd."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rwmu_train.evaluation.world_model.calibration import coverage, fit_calibration
from rwmu_train.evaluation.world_model.judgement import Judgement, JudgementSettings
from rwmu_train.evaluation.world_model.judging import judge_world_model
from rwmu_train.world_model.ensemble import WorldModel

SETTINGS = JudgementSettings(horizon=20, windows=40)


@pytest.fixture
def model(facts) -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(facts.architecture).eval()


@pytest.fixture
def judgement(model, facts, small_dataset) -> Judgement:
    return judge_world_model(model, facts, small_dataset, SETTINGS)


def test_calibration_is_reported_on_episodes_it_was_not_fitted_to(judgement) -> None:
    fitted, reported = slice(judgement.fitted_windows), judgement.reported
    target = judgement.windows.target
    assert judgement.fitted_windows == 20
    for score in judgement.followed.values():
        again = fit_calibration(score.rollout.of_windows(fitted), target[:, fitted])
        np.testing.assert_array_equal(again.log_factor, score.calibration.log_factor)
        rest = score.rollout.of_windows(reported)
        found = coverage(
            rest.prediction - target[:, reported], again.sigma(rest.disagreement), 2.0
        )
        assert score.coverage_after[20].two_sigma == found[-1]


def test_no_row_stands_on_both_sides_of_the_calibration(judgement) -> None:
    state = judgement.windows.batch.state.numpy()
    left = {row.tobytes() for row in state[:, : judgement.fitted_windows].reshape(-1, 45)}
    right = {row.tobytes() for row in state[:, judgement.reported].reshape(-1, 45)}
    assert left
    assert right
    assert not left & right


def test_named_steps_end_with_the_horizon(judgement, model, facts, small_dataset) -> None:
    assert judgement.steps == (1, 8, 20)
    eight = judge_world_model(model, facts, small_dataset, replace(SETTINGS, horizon=8))
    assert eight.steps == (1, 8)


def test_what_is_odd_is_noted(model, facts, small_dataset) -> None:
    settings = JudgementSettings(horizon=368, windows=2000, split="all")
    notes = " | ".join(
        judge_world_model(model, facts, small_dataset, settings, {"twin": small_dataset}).notes
    )
    for said in (
        "horizon 142 instead of 368",
        "windows instead of 2000",
        "of only 6 episodes",
        "not all judged episodes are known to be unseen",
        "off-data set twin has files that the model was trained on",
    ):
        assert said in notes


def test_nothing_is_odd_about_enough_unseen_data(model, facts, small_dataset) -> None:
    many = replace(
        small_dataset,
        episode_start=np.arange(0, 900, 30),
        episode_end=np.arange(30, 901, 30),
        episode_end_kind=("truncated",) * 30,
    )
    assert judge_world_model(model, facts, many, JudgementSettings(10, 40)).notes == ()
