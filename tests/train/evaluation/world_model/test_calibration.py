"""Calibration: a world whose errors are known multiples of the disagreement."""

import json
import shutil

import numpy as np
import pytest

from rwmu_deploy.contract.errors import CheckpointError
from rwmu_train.evaluation.world_model.calibration import (
    Calibration,
    coverage,
    fit_calibration,
)
from rwmu_train.evaluation.world_model.calibration_file import (
    CALIBRATION,
    load_calibration,
    save_calibration,
)
from rwmu_train.evaluation.world_model.rollout import Rollout
from rwmu_train.world_model.checkpoint import WEIGHTS

STEPS = 100


def known_world(windows: int, seed: int = 0) -> tuple[Rollout, np.ndarray]:
    """Errors are normal with 4 sqrt(step) times the disagreement, which differs by window."""
    rng = np.random.default_rng(seed)
    disagreement = np.broadcast_to(rng.uniform(0.5, 2.0, (1, windows, 6)), (STEPS, windows, 6))
    size = 4.0 * np.sqrt(np.arange(1, STEPS + 1))[:, None, None]
    prediction = rng.normal(size=disagreement.shape)
    target = prediction + size * disagreement * rng.normal(size=disagreement.shape)
    return Rollout(prediction, disagreement), target


def test_coverage_by_hand() -> None:
    error = np.array([[[0.5, -1.5, 2.5, 1.0]]])
    assert coverage(error, np.ones_like(error), 1.0).tolist() == [0.5]
    assert coverage(error, np.ones_like(error), 2.0).tolist() == [0.75]


def test_sigma_by_hand() -> None:
    calibration = Calibration(np.array([3.0]), np.array([1.0, np.log(2.0)]), last_step=4)
    # factor(step) = 2 step, up to step 4; sqrt(4^2 + 3^2) = 5.
    sigma = calibration.sigma(np.full((6, 1, 1), 4.0)).ravel()
    assert sigma.tolist() == pytest.approx([10.0, 20.0, 30.0, 40.0, 40.0, 40.0])


@pytest.mark.parametrize("windows", [20, 200])
def test_other_windows_are_covered_as_often_as_stated(windows) -> None:
    calibration = fit_calibration(*known_world(windows))
    rollout, target = known_world(400, seed=1)
    error = rollout.prediction - target
    bare = coverage(error, rollout.disagreement, 1.0)
    assert bare.max() < 0.25
    sigma = calibration.sigma(rollout.disagreement)
    np.testing.assert_allclose(coverage(error, sigma, 1.0), 0.683, atol=0.08)
    np.testing.assert_allclose(coverage(error, sigma, 2.0), 0.954, atol=0.07)


def test_errors_with_heavy_tails_are_covered_at_two_sigma_too() -> None:
    rng = np.random.default_rng(0)
    disagreement = np.ones((10, 2000, 4))
    error = rng.standard_t(3, size=disagreement.shape)
    calibration = fit_calibration(Rollout(np.zeros_like(error), disagreement), error)
    sigma = calibration.sigma(disagreement)
    other = rng.standard_t(3, size=disagreement.shape)
    # A factor for one sigma alone would cover 0.90 at two, one for two sigma 0.82 at one.
    np.testing.assert_allclose(coverage(other, sigma, 1.0), 0.746, atol=0.015)
    np.testing.assert_allclose(coverage(other, sigma, 2.0), 0.933, atol=0.01)


def test_the_factor_grows_as_the_error_does() -> None:
    calibration = fit_calibration(*known_world(200))
    one, hundred = calibration.factor(np.array([1, 100]))
    assert hundred / one == pytest.approx(10.0, rel=0.1)


def test_one_window_gone_wild_hardly_moves_the_factor() -> None:
    rollout, target = known_world(40)
    calm = fit_calibration(rollout, target).factor(np.arange(1, STEPS + 1))
    target[:, 0] += 1e6
    wild = fit_calibration(rollout, target).factor(np.arange(1, STEPS + 1))
    np.testing.assert_allclose(wild, calm, rtol=0.12)


def test_members_that_agree_get_the_floor() -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(0.0, 0.5, (2, 400, 3))
    rollout = Rollout(np.zeros_like(target), np.zeros_like(target))
    calibration = fit_calibration(rollout, target)
    np.testing.assert_allclose(calibration.sigma(rollout.disagreement), 0.5, rtol=0.15)


def test_a_single_step_and_a_perfect_forecast_can_be_fitted() -> None:
    nothing = np.zeros((1, 3, 2))
    sigma = fit_calibration(Rollout(nothing, nothing), nothing).sigma(nothing)
    assert (sigma > 0.0).all()
    assert np.isfinite(sigma).all()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / WEIGHTS).write_bytes(b"weights")
    return tmp_path


@pytest.fixture
def calibration() -> Calibration:
    return fit_calibration(*known_world(20))


def test_a_calibration_is_read_as_it_was_written(folder, calibration) -> None:
    save_calibration(folder, {"mean": calibration}, ["abc"])
    read = load_calibration(folder)
    assert list(read) == ["mean"]
    disagreement = np.random.default_rng(0).random((STEPS, 3, 6))
    np.testing.assert_array_equal(
        read["mean"].sigma(disagreement), calibration.sigma(disagreement)
    )
    assert json.loads((folder / CALIBRATION).read_text())["data_sha256"] == ["abc"]


def test_a_calibration_of_other_weights_is_refused_by_name(folder, calibration) -> None:
    save_calibration(folder, {"mean": calibration}, [])
    (folder / WEIGHTS).write_bytes(b"other weights")
    with pytest.raises(CheckpointError, match=r"calibration\.json: weights_sha256 is .* needs"):
        load_calibration(folder)


def test_a_calibration_is_not_written_over(folder, calibration) -> None:
    path = save_calibration(folder, {"mean": calibration}, [])
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="not written over"):
        save_calibration(folder, {"member": calibration}, [])
    assert path.read_bytes() == before


def test_a_missing_calibration_or_model_is_named(folder, calibration, tmp_path) -> None:
    with pytest.raises(CheckpointError, match=r"no file .*calibration\.json"):
        load_calibration(folder)
    save_calibration(folder, {"mean": calibration}, [])
    other = shutil.copytree(folder, tmp_path / "other")
    (other / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match=f"no file .*{WEIGHTS}"):
        load_calibration(other)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.pop("followed"), "is not a calibration: 'followed'"),
        (lambda d: d.update(schema=2), "schema is 2"),
        (lambda d: d["followed"]["mean"].update(floor=[0.0] * 6), "can't be used"),
        (lambda d: d["followed"]["mean"].update(log_factor=[float("nan")]), "can't be used"),
        (lambda d: d["followed"]["mean"].update(floor="big"), "is not a calibration"),
        (lambda d: d.update(followed=[]), "is not a calibration"),
    ],
)
def test_a_damaged_calibration_is_refused(folder, calibration, change, said) -> None:
    path = save_calibration(folder, {"mean": calibration}, [])
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match=said):
        load_calibration(folder)


def test_a_torn_calibration_is_refused(folder, calibration) -> None:
    path = save_calibration(folder, {"mean": calibration}, [])
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="is not a calibration"):
        load_calibration(folder)
