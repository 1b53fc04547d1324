"""An interrupted training ends as an unbroken one, bit for bit."""

from dataclasses import replace

import pytest
import torch
from small_training import TINY, train

from rwmu_deploy.contract.errors import CheckpointError, ConfigError
from rwmu_train.world_model.checkpoint import WEIGHTS, load_world_model
from rwmu_train.world_model.resume import RESUME

SHORT = replace(TINY, iterations=4, validate_every=2)


def assert_same_weights(ours, theirs) -> None:
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=0, atol=0, msg=name)


@pytest.mark.parametrize(
    ("loss", "bootstrap"),
    [
        ("huber", "by_episode"),
        ("mse", "none"),
        ("sampled_mse", "poisson"),
        ("gaussian_nll", "resample"),
    ],
)
def test_every_loss_and_bootstrap_resumes_exactly(
    small_dataset, tmp_path, loss, bootstrap
) -> None:
    settings = replace(SHORT, loss=loss, bootstrap=bootstrap, input_noise=0.05)
    unbroken, _, _ = train(small_dataset, tmp_path / "unbroken", settings)
    train(small_dataset, tmp_path / "broken", replace(settings, iterations=2))
    resumed, _, _ = train(small_dataset, tmp_path / "broken", settings, resume=True)
    assert_same_weights(resumed, unbroken)


def test_the_best_model_so_far_outlives_a_worse_end(small_dataset, tmp_path, spec) -> None:
    worsening = replace(TINY, iterations=3, validate_every=1, final_learning_rate=1.0)
    train(small_dataset, tmp_path, worsening)
    best = (tmp_path / WEIGHTS).read_bytes()
    _, last, _ = train(small_dataset, tmp_path, replace(worsening, iterations=4), resume=True)
    _, kept = load_world_model(tmp_path, spec)
    assert (kept.iteration, last.iteration) == (1, 4)
    assert last.held_out["error_by_step"][-1] > kept.held_out["error_by_step"][-1]
    assert (tmp_path / WEIGHTS).read_bytes() == best


def test_other_settings_than_those_of_the_run_are_refused(small_dataset, tmp_path) -> None:
    train(small_dataset, tmp_path, replace(SHORT, iterations=2))
    with pytest.raises(ConfigError, match=r"was trained with batch_size 10; now it is 20"):
        train(small_dataset, tmp_path, replace(SHORT, batch_size=20), resume=True)
    other = replace(
        small_dataset, files=tuple(replace(f, sha256="0" * 64) for f in small_dataset.files)
    )
    with pytest.raises(ConfigError, match="was trained with data_sha256"):
        train(other, tmp_path, SHORT, resume=True)


def test_a_cut_resume_file_is_refused(small_dataset, tmp_path) -> None:
    train(small_dataset, tmp_path, replace(SHORT, iterations=2))
    path = tmp_path / RESUME
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="can't be resumed from"):
        train(small_dataset, tmp_path, SHORT, resume=True)
