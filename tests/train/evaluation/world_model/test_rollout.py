"""Forecasts: worlds whose members drift by known amounts, and another way to the same numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rwmu_train.evaluation.world_model.forecast_windows import ForecastWindows
from rwmu_train.evaluation.world_model.noise_robustness import error_under_noise
from rwmu_train.evaluation.world_model.prediction_error import error_curves, l1_error
from rwmu_train.evaluation.world_model.rollout import FOLLOWED, hold_last, roll_out
from rwmu_train.world_model.ensemble import Architecture, WorldModel, epistemic_uncertainty
from rwmu_train.world_model.held_out import evaluate
from rwmu_train.world_model.multi_step_loss import SequenceBatch

SMALL = Architecture(
    state_size=2, action_size=1, contact_size=1, members=2, hidden=8, head_hidden=6
)
HISTORY, HORIZON, WINDOWS = 4, 3, 5


def make_windows() -> ForecastWindows:
    torch.manual_seed(0)
    rows = HISTORY + HORIZON
    batch = SequenceBatch(
        torch.randn(rows, WINDOWS, 2),
        torch.randn(rows, WINDOWS, 1),
        torch.zeros(rows, WINDOWS, 1),
        torch.zeros(rows, WINDOWS),
        torch.zeros(rows, WINDOWS, 0),
    )
    return ForecastWindows(batch, HISTORY, episodes=1)


@pytest.fixture
def windows() -> ForecastWindows:
    return make_windows()


@pytest.fixture
def model() -> WorldModel:
    torch.manual_seed(1)
    return WorldModel(SMALL)


@pytest.fixture
def drifting() -> WorldModel:
    """Member 0 adds (0.1, 0) a step, member 1 adds (0.3, 0.4)."""
    model = WorldModel(SMALL)
    with torch.no_grad():
        model.mean_heads.output_weight.zero_()
        model.mean_heads.output_bias.copy_(torch.tensor([[[0.1, 0.0]], [[0.3, 0.4]]]))
    return model


def test_the_mean_of_drifting_members_by_hand(drifting, windows) -> None:
    rollout = roll_out(drifting, windows, "mean")
    start = windows.batch.state[HISTORY - 1].numpy()
    for step in range(HORIZON):
        moved = (step + 1) * np.array([0.2, 0.2])
        np.testing.assert_allclose(rollout.prediction[step], start + moved, atol=1e-6)
    # Of two values with Bessel's correction: their distance over sqrt(2), at every step.
    np.testing.assert_allclose(rollout.disagreement[..., 0], 0.2 / 2**0.5, atol=1e-6)
    np.testing.assert_allclose(rollout.std_sum, 0.6 / 2**0.5, atol=1e-6)
    np.testing.assert_allclose(rollout.variance, 0.02 + 0.08, atol=1e-6)


def test_each_window_follows_its_own_member(drifting, windows) -> None:
    rollout = roll_out(drifting, windows, "member")
    moved = rollout.prediction[-1] - windows.batch.state[HISTORY - 1].numpy()
    for window in range(WINDOWS):
        drift = ([0.1, 0.0], [0.3, 0.4])[window % 2]
        np.testing.assert_allclose(moved[window], HORIZON * np.array(drift), atol=1e-6)


def test_a_drift_is_an_error_of_known_size(drifting, windows) -> None:
    """The truth stands still at (1, 2); the forecast walks away by 0.4 a step."""
    windows.batch.state[:] = torch.tensor([1.0, 2.0])
    rollout = roll_out(drifting, windows, "mean")
    curve = error_curves(rollout.prediction, windows.target, ())["total"]
    np.testing.assert_allclose(curve.absolute, [0.4, 0.8, 1.2], atol=1e-6)
    np.testing.assert_allclose(curve.relative, np.array([0.4, 0.8, 1.2]) / 3.0, atol=1e-6)
    assert l1_error(hold_last(windows), windows.target).max() == 0.0


def test_following_members_agrees_with_the_evaluation_in_training(model, windows) -> None:
    """Its windows need 9 rows at least, for contacts."""
    torch.manual_seed(2)
    batch = SequenceBatch(
        torch.randn(12, 4, 2),
        torch.randn(12, 4, 1),
        torch.zeros(12, 4, 1),
        torch.zeros(12, 4),
        torch.zeros(12, 4, 0),
    )
    windows = ForecastWindows(batch, 6, episodes=1)
    rollout = roll_out(model, windows, "member")
    error = l1_error(rollout.prediction, windows.target).mean(axis=1)
    theirs = evaluate(model, batch, 6)
    np.testing.assert_allclose(error, theirs["error_by_step"], rtol=1e-5)
    assert rollout.std_sum.mean() == pytest.approx(theirs["uncertainty_std_sum"]["mean"], rel=1e-5)


def test_uncertainty_is_that_of_imagination(model, windows) -> None:
    rollout = roll_out(model, windows, "mean")
    memory = model.replay(
        torch.cat([windows.batch.state[:HISTORY], windows.batch.action[1 : HISTORY + 1]], dim=-1)
    )
    means = model.next_state(memory, windows.batch.state[HISTORY - 1])
    for ours, reduction in ((rollout.std_sum, "std_sum"), (rollout.variance, "variance")):
        theirs = epistemic_uncertainty(means.detach(), reduction).numpy()
        np.testing.assert_allclose(ours[0], theirs, rtol=1e-5)


@pytest.mark.parametrize("followed", FOLLOWED)
def test_only_the_past_and_the_action_that_comes_next_count(model, windows, followed) -> None:
    before = roll_out(model, windows, followed).prediction
    windows.batch.action[0] += 1.0
    windows.batch.state[HISTORY:] += 1.0
    np.testing.assert_array_equal(roll_out(model, windows, followed).prediction, before)
    windows.batch.action[HISTORY + 1] += 1.0
    after = roll_out(model, windows, followed).prediction
    np.testing.assert_array_equal(after[0], before[0])
    assert (after[1] != before[1]).any()


def test_without_noise_the_error_is_the_plain_one(model, windows) -> None:
    plain = l1_error(roll_out(model, windows, "mean").prediction, windows.target)[-1].mean()
    errors = error_under_noise(model, windows, "mean", seed=0, levels=(0.0, 2.0))
    assert errors[0.0] == pytest.approx(float(plain))
    assert errors[2.0] != errors[0.0]


def test_noise_moves_a_drifting_forecast_by_its_own_size(drifting, windows) -> None:
    """The members only add to the last state, so the forecast is off by the noise on that."""
    windows = replace(windows, batch=replace(windows.batch, state=torch.zeros(7, 5, 2)))
    with torch.no_grad():
        drifting.mean_heads.output_bias.zero_()
    noise = torch.randn(4, 5, 2, generator=torch.Generator().manual_seed(3))
    errors = error_under_noise(drifting, windows, "mean", seed=3, levels=(0.5,))
    assert errors[0.5] == pytest.approx(0.5 * float(noise[-1].abs().sum(-1).mean()))
