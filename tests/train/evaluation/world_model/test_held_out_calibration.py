import numpy as np
import pytest
import torch

from rwmu_train.evaluation.world_model.calibration import coverage, fit_calibration
from rwmu_train.evaluation.world_model.forecast_windows import draw_windows
from rwmu_train.evaluation.world_model.held_out_calibration import calibrate_on_held_out
from rwmu_train.evaluation.world_model.judgement import JudgementSettings
from rwmu_train.evaluation.world_model.rollout import FOLLOWED, roll_out
from rwmu_train.world_model.ensemble import WorldModel

SETTINGS = JudgementSettings(horizon=10, windows=30)


@pytest.fixture
def model(facts) -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(facts.architecture).eval()


def test_only_held_out_episodes_are_fitted_to(model, facts, small_dataset) -> None:
    found = calibrate_on_held_out(model, facts, small_dataset, SETTINGS)
    share, seed = facts.settings["validation_share"], facts.settings["seed"]
    _, held_out = small_dataset.split(share, seed)
    windows = draw_windows(
        held_out, facts.normaliser, history=facts.history, horizon=10, count=30, seed=0
    )
    for followed in FOLLOWED:
        rollout = roll_out(model, windows, followed)
        expected = fit_calibration(rollout, windows.target)
        np.testing.assert_array_equal(found[followed].floor, expected.floor)
        np.testing.assert_array_equal(found[followed].log_factor, expected.log_factor)
        sigma = found[followed].sigma(rollout.disagreement)
        within = coverage(rollout.prediction - windows.target, sigma, 1.0)
        assert within.mean() == pytest.approx(0.68, abs=0.1)
