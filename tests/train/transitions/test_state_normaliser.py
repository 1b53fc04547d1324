"""Normalisers keep their numbers, and numpy and torch agree."""

import json

import numpy as np
import pytest
import torch

from rwmu_deploy.contract.errors import CheckpointError, ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec, spec_from_dict, spec_to_dict
from rwmu_train.cli.data import main as data_command
from rwmu_train.transitions import normaliser as normaliser_module
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.normaliser import (
    STD_FLOOR,
    StateNormaliser,
    choose_normaliser,
    fit_normaliser,
    normaliser_of_robot,
    released_normaliser,
)


def test_released_numbers_are_those_of_the_public_code(spec) -> None:
    normaliser = released_normaliser(spec)
    assert normaliser.mean[:33].tolist() == [0.0] * 8 + [-1.0] + [0.0] * 24
    assert normaliser.mean[33:].tolist() == [-2, -2, 2, 2, -6, 8, -6, 8, 12, -12, 12, -12]
    std = [0.5, 0.5, 0.1, 0.3, 0.3, 0.5, 0.02, 0.02, 0.04]
    std += [0.15] * 12 + [1.0] * 4 + [1.5] * 4 + [2.5] * 4 + [15.0] * 12
    np.testing.assert_array_equal(normaliser.std, np.array(std, dtype=np.float32))


def test_released_numbers_follow_the_joint_names(spec) -> None:
    document = spec_to_dict(spec)
    document["joints"] = document["joints"][::-1]
    reordered = released_normaliser(spec_from_dict(document, source="test"))
    normaliser = released_normaliser(spec)
    np.testing.assert_array_equal(reordered.mean[33:], normaliser.mean[33:][::-1])
    np.testing.assert_array_equal(reordered.std[21:33], normaliser.std[21:33][::-1])


def test_released_numbers_are_refused_for_another_robot(spec) -> None:
    document = spec_to_dict(spec)
    document["joints"][0]["name"] = "left_hip"
    with pytest.raises(ConfigError, match="no numbers for robot"):
        released_normaliser(spec_from_dict(document, source="test"))


def test_fitted_numbers_are_mean_and_std_with_a_floor(
    segment, spec, random_rows, tmp_path
) -> None:
    rows = random_rows(500)
    rows[:, 9] = 0.25
    rows[:, 33] = 1e4 + rows[:, 33]
    segment(rows)
    normaliser = fit_normaliser(load_dataset(tmp_path / "data", spec))
    states = rows[:, :45].astype(np.float64)
    np.testing.assert_allclose(normaliser.mean, states.mean(axis=0), rtol=1e-6)
    moving = np.delete(np.arange(45), 9)
    moving = moving[states.std(axis=0)[moving] > 1.0]
    np.testing.assert_allclose(normaliser.std[moving], states.std(axis=0)[moving], rtol=1e-5)
    assert normaliser.std[9] == np.array(STD_FLOOR["joint_position_offset_rad"], dtype=np.float32)


def test_what_the_command_writes_is_what_was_fitted_by_name(
    segment, spec, random_rows, tmp_path, monkeypatch
) -> None:
    segment(random_rows(500))
    data, beside = tmp_path / "data", tmp_path / "fitted_normaliser.yaml"
    words = ["normaliser", str(data), "--robot", spec.name, "--out", str(beside)]
    assert data_command(words) == 0
    monkeypatch.setattr(normaliser_module, "asset_path", lambda *_: beside)
    fitted = fit_normaliser(load_dataset(data, spec))
    shipped = choose_normaliser("shipped", load_dataset(data, spec))
    np.testing.assert_allclose(shipped.mean, fitted.mean, rtol=1e-5)
    np.testing.assert_allclose(shipped.std, fitted.std, rtol=1e-5)
    assert shipped.name == "shipped"
    document = spec_to_dict(spec)
    document["joints"] = document["joints"][::-1]
    reordered = normaliser_of_robot("shipped", spec_from_dict(document, source="test"))
    np.testing.assert_array_equal(reordered.mean[33:], shipped.mean[33:][::-1])


def test_a_humanoids_numbers_ship() -> None:
    humanoid = load_robot_spec("g1")
    shipped = normaliser_of_robot("shipped", humanoid)
    assert shipped.mean.shape == shipped.std.shape == (96,)
    with pytest.raises(ConfigError, match="released normaliser has no numbers"):
        released_normaliser(humanoid)


def test_fitted_numbers_ignore_the_rows_of_the_other_part(
    segment, spec, random_rows, tmp_path
) -> None:
    for seed in range(4):
        segment(random_rows(100, seed))
    train, validation = load_dataset(tmp_path / "data", spec).split(0.5, 0)
    before = fit_normaliser(train).to_dict()
    train.rows[validation.member_rows()] = 1e6
    assert fit_normaliser(train).to_dict() == before
    assert choose_normaliser("fitted", train).to_dict() == before


def test_unknown_name_is_refused(segment, spec, random_rows, tmp_path) -> None:
    segment(random_rows(5))
    data = load_dataset(tmp_path / "data", spec)
    assert choose_normaliser("released", data).name == "released"
    with pytest.raises(ConfigError, match="known are released, fitted"):
        choose_normaliser("running", data)


def test_one_state_by_hand(spec) -> None:
    state = np.zeros((1, 45), dtype=np.float32)
    state[0, [0, 8, 37]] = [1.0, -0.96, 9.0]
    normalised = released_normaliser(spec).normalise(state)
    np.testing.assert_allclose(normalised[0, [0, 8, 37]], [2.0, 1.0, 1.0], rtol=1e-5)


def test_numpy_and_torch_agree_and_invert(spec, random_rows) -> None:
    normaliser = released_normaliser(spec)
    states = random_rows(50)[:, :45]
    array = normaliser.normalise(states)
    tensor = normaliser.normalise(torch.from_numpy(states.copy()))
    assert tensor.dtype == torch.float32
    np.testing.assert_array_equal(tensor.numpy(), array)
    np.testing.assert_allclose(normaliser.denormalise(array), states, atol=1e-5)
    np.testing.assert_array_equal(
        normaliser.denormalise(tensor).numpy(), normaliser.denormalise(array)
    )


def test_json_keeps_every_bit() -> None:
    rng = np.random.default_rng(0)
    normaliser = StateNormaliser(
        rng.normal(size=45).astype(np.float32), rng.random(45).astype(np.float32) + 1e-3, "fitted"
    )
    again = StateNormaliser.from_dict(json.loads(json.dumps(normaliser.to_dict())))
    assert again.name == "fitted"
    np.testing.assert_array_equal(again.mean.view(np.uint32), normaliser.mean.view(np.uint32))
    np.testing.assert_array_equal(again.std.view(np.uint32), normaliser.std.view(np.uint32))


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"name": "x", "mean": [0.0], "std": [0.0]},
        {"name": "x", "mean": [0.0], "std": [-1.0]},
        {"name": "x", "mean": [0.0, 1.0], "std": [1.0]},
        {"name": "x", "mean": [float("nan")], "std": [1.0]},
        {"name": "x", "mean": [0.0], "std": [float("inf")]},
        {"name": "x", "mean": "abc", "std": [1.0]},
    ],
)
def test_unusable_numbers_are_refused(document) -> None:
    with pytest.raises(CheckpointError, match="normaliser"):
        StateNormaliser.from_dict(document)
