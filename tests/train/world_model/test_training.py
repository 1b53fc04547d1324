from dataclasses import replace

import numpy as np
import pytest
import torch
from small_training import TINY, train

from rwmu_deploy.contract.errors import CheckpointError, ConfigError, TransitionFileError
from rwmu_train.world_model.checkpoint import FACTS, WEIGHTS, load_world_model


@pytest.fixture(scope="module")
def trained(small_dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("world_model")
    return (*train(small_dataset, folder), folder)


def test_training_lowers_the_loss(small_dataset, tmp_path) -> None:
    _, _, losses = train(
        small_dataset, tmp_path, replace(TINY, iterations=150, batch_size=40, validate_every=150)
    )
    assert np.mean(losses[-20:]) < 0.8 * np.mean(losses[:5])


def test_a_checkpoint_loads_with_everything_that_gives_it_meaning(trained, spec) -> None:
    _, facts, _, folder = trained
    model, loaded = load_world_model(folder, spec)
    assert loaded.history == 8
    assert loaded.normaliser.to_dict() == facts.normaliser.to_dict()
    assert loaded.data_sha256 == facts.data_sha256
    assert loaded.held_out["windows"] > 0
    assert loaded.held_out["uncertainty_std_sum"]["q50"] > 0.0
    assert model.architecture.members == 5


def test_a_resumed_run_ends_as_an_unbroken_one(small_dataset, tmp_path, trained) -> None:
    unbroken = trained[0]
    train(small_dataset, tmp_path, replace(TINY, iterations=3, final_learning_rate=None))
    resumed, _, losses = train(small_dataset, tmp_path, resume=True)
    assert len(losses) == 3
    for name, value in unbroken.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0, msg=name)


def test_nothing_to_resume_is_said(small_dataset, tmp_path) -> None:
    with pytest.raises(ConfigError, match="to resume from"):
        train(small_dataset, tmp_path, resume=True)


def test_data_too_short_for_a_sequence_are_refused(small_dataset, tmp_path) -> None:
    with pytest.raises(TransitionFileError, match="no episode has the 405 rows"):
        train(small_dataset, tmp_path, replace(TINY, history=400))


@pytest.mark.parametrize("name", [WEIGHTS, FACTS])
def test_a_missing_file_is_refused_not_replaced_by_fresh_weights(
    trained, spec, tmp_path, name
) -> None:
    for file in (WEIGHTS, FACTS):
        (tmp_path / file).write_bytes((trained[3] / file).read_bytes())
    (tmp_path / name).unlink()
    with pytest.raises(CheckpointError, match=f"there is no file .*{name}"):
        load_world_model(tmp_path, spec)


def test_altered_weights_are_refused(trained, spec, tmp_path) -> None:
    payload = bytearray((trained[3] / WEIGHTS).read_bytes())
    payload[-5] ^= 1
    (tmp_path / WEIGHTS).write_bytes(payload)
    (tmp_path / FACTS).write_bytes((trained[3] / FACTS).read_bytes())
    with pytest.raises(CheckpointError, match="is not the file that"):
        load_world_model(tmp_path, spec)


def test_a_cut_document_is_refused(trained, spec, tmp_path) -> None:
    (tmp_path / WEIGHTS).write_bytes((trained[3] / WEIGHTS).read_bytes())
    (tmp_path / FACTS).write_bytes((trained[3] / FACTS).read_bytes()[:200])
    with pytest.raises(CheckpointError, match="not a whole world model"):
        load_world_model(tmp_path, spec)


def test_another_robots_model_is_refused(trained, spec) -> None:
    swapped = replace(spec, joints=(spec.joints[1], spec.joints[0], *spec.joints[2:]))
    with pytest.raises(CheckpointError, match="Use the world model of this robot"):
        load_world_model(trained[3], swapped)


def test_another_control_rate_is_refused(trained, spec) -> None:
    with pytest.raises(
        CheckpointError, match=r"control_dt_s differs: .* with 0\.02, wanted is 0\.01"
    ):
        load_world_model(trained[3], replace(spec, control_dt_s=0.01))
