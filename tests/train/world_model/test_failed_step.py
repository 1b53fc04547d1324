"""A loss, gradient or held-out error that is not finite: training stops and says where to look."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_training import TINY, train

from rwmu_deploy.contract.errors import ConfigError, TransitionFileError
from rwmu_train.transitions.dataset import FileRecord, TransitionDataset
from rwmu_train.world_model.checkpoint import load_world_model
from rwmu_train.world_model.training_data import data_notes, held_out_starts

EXPLODING = replace(TINY, learning_rate=1e-4, final_learning_rate=1e30, validate_every=1)


def in_two_files(dataset: TransitionDataset) -> TransitionDataset:
    """The same rows, said to come from two files of 450."""
    files = tuple(FileRecord(Path(f"{n}.csv"), n, 450 * i, 450, "sim") for i, n in enumerate("ab"))
    return replace(dataset, files=files)


def spoiled(dataset: TransitionDataset, row: int, value: float) -> TransitionDataset:
    rows = dataset.rows.copy()
    rows[row, dataset.columns.joint_velocity_radps.start] = value
    return replace(in_two_files(dataset), rows=rows)


def training_row(dataset: TransitionDataset, file: int) -> int:
    """A row in the middle of an episode that is trained on, in one of the two files."""
    train_part, _ = dataset.split(TINY.validation_share, 0)
    starts = train_part.episode_start
    return int(starts[starts >= 450][0] if file else starts[0]) + 70


@pytest.mark.parametrize("file", [0, 1])
def test_a_huge_value_is_named_by_file_row_and_column(small_dataset, tmp_path, file) -> None:
    row = training_row(small_dataset, file)
    inside = row - 450 * file
    with pytest.raises(ConfigError) as caught:
        train(
            spoiled(small_dataset, row, 1e25),
            tmp_path,
            replace(TINY, loss="mse", batch_size=200, iterations=20),
        )
    said = str(caught.value)
    assert "joint_velocity_radps[LF_HAA]" in said
    assert f"in {'ab'[file]}.csv row {inside} (line {inside + 1})" in said
    assert "Correct that row" in said


def test_a_huge_value_in_the_held_out_part_is_named_too(small_dataset, tmp_path) -> None:
    _, validation = small_dataset.split(TINY.validation_share, 0)
    row = int(validation.episode_start[0]) + 70
    data = spoiled(small_dataset, row, 3e38)
    with pytest.raises(ConfigError, match=r"held-out error is (nan|inf) at iteration 3.*csv row"):
        train(data, tmp_path)
    assert not (tmp_path / "resume.safetensors").exists()


def test_a_learning_rate_that_explodes_leaves_the_last_good_model(
    small_dataset, tmp_path, spec
) -> None:
    with pytest.raises(ConfigError, match=r"the last good checkpoint is kept.*Lower the learning"):
        train(small_dataset, tmp_path, EXPLODING)
    model, facts = load_world_model(tmp_path, spec)
    assert facts.iteration >= 1
    assert all(value.isfinite().all() for value in model.state_dict().values())
    assert np.isfinite(facts.held_out["error_by_step"]).all()


def test_the_sequences_of_the_batch_are_named_by_file(small_dataset, tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"they start in [ab]\.csv row \d+ \(line \d+\), "):
        train(in_two_files(small_dataset), tmp_path, EXPLODING)


def test_data_without_falls_and_still_channels_are_named(small_dataset, tmp_path) -> None:
    rows = small_dataset.rows.copy()
    rows[:, -1] = 0.0
    notes = data_notes(replace(small_dataset, rows=rows), TINY, 0)
    assert "no falls in the data: the termination head has learned nothing" in notes
    assert "projected_gravity[x], projected_gravity[y], projected_gravity[z]" in notes[0]
    _, facts, _ = train(replace(small_dataset, rows=rows), tmp_path)
    assert facts.held_out["notes"] == list(notes)


def test_a_fall_that_is_trained_on_is_not_denied(small_dataset) -> None:
    train_part, validation = small_dataset.split(TINY.validation_share, 0)
    rows = small_dataset.rows.copy()
    rows[:, -1] = 0.0
    rows[train_part.episode_end[0] - 1, -1] = 1.0
    assert not any(
        "falls" in note for note in data_notes(replace(small_dataset, rows=rows), TINY, 0)
    )
    rows[:, -1] = 0.0
    rows[validation.episode_end[0] - 1, -1] = 1.0
    notes = data_notes(replace(small_dataset, rows=rows), TINY, 0)
    assert any("training data (1 in held-out episodes)" in note for note in notes)


def test_a_held_out_part_without_a_window_is_refused(small_dataset) -> None:
    _, validation = small_dataset.split(TINY.validation_share, 0)
    short = replace(validation, episode_end=validation.episode_start + 4)
    with pytest.raises(
        TransitionFileError, match=r"no held-out episode has 11 rows.*longest has 4"
    ):
        held_out_starts(short, TINY)
