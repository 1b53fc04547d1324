import numpy as np
import pytest
import torch

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.reference.recording import (
    Recording,
    RecordingSettings,
    record,
    spans_of,
    write_recording,
)
from rwmu_train.task.velocity_task import find_task
from rwmu_train.transitions.dataset import load_dataset

TASK = find_task("anymal_d_flat")


def stand(observation: torch.Tensor) -> torch.Tensor:
    return torch.zeros(len(observation), 12)


def flail(observation: torch.Tensor) -> torch.Tensor:
    return 3.0 * torch.sign(observation[:, 24:36])


@pytest.fixture(scope="module")
def recording(spec) -> Recording:
    settings = RecordingSettings(
        rows=1600, robots=8, action_noise=(0.0, 0.2), command_steps=(20, 40), seed=3
    )
    return record([stand, flail], spec, TASK, settings)


def test_a_fall_is_the_last_row_of_its_episode(recording) -> None:
    assert recording.fell.any()
    assert recording.ended[recording.fell].all()


def test_standing_robots_do_not_fall_and_flailing_ones_do(recording) -> None:
    by_robot = recording.fell.reshape(8, -1).sum(axis=1)
    assert by_robot[0] == 0
    assert by_robot[1::2].sum() > 0


def test_applied_actions_stay_within_the_joint_limits(recording, spec) -> None:
    actions = recording.rows[:, TransitionColumns.of(spec).action.slice]
    targets = spec.default_position_rad + spec.action_scale * actions
    assert (targets <= spec.upper_rad + 1e-6).all()
    assert (targets >= spec.lower_rad - 1e-6).all()


def test_the_files_say_what_was_recorded(recording, spec, tmp_path) -> None:
    paths = write_recording(recording, spec, tmp_path, rows_per_file=500, note="test")
    dataset = load_dataset(tmp_path, spec)
    assert len(paths) > 1
    np.testing.assert_array_equal(dataset.rows, recording.rows)
    np.testing.assert_array_equal(dataset.velocity_command, recording.command)
    np.testing.assert_array_equal(dataset.episode_end - 1, np.flatnonzero(recording.ended))
    fell = [kind == "terminated" for kind in dataset.episode_end_kind]
    np.testing.assert_array_equal(fell, recording.fell[recording.ended])


def test_spans_change_with_the_command_and_end_with_the_episode(spec) -> None:
    command = np.array([[1, 0, 0]] * 2 + [[0, 1, 0]] * 3, dtype=np.float32)
    ended = np.array([False, False, False, True, True])
    recording = Recording(
        np.zeros((5, 66), np.float32), command, ended, np.array([False] * 3 + [True, False])
    )
    assert [(s.first_row, s.last_row, s.end) for s in spans_of(recording)] == [
        (0, 1, "continues"),
        (2, 3, "terminated"),
        (4, 4, "truncated"),
    ]


def test_the_same_seed_records_the_same_rows(spec, recording) -> None:
    settings = RecordingSettings(
        rows=1600, robots=8, action_noise=(0.0, 0.2), command_steps=(20, 40), seed=3
    )
    np.testing.assert_array_equal(
        record([stand, flail], spec, TASK, settings).rows, recording.rows
    )


def test_fewer_rows_than_robots_are_refused() -> None:
    with pytest.raises(ConfigError, match="10 rows by 500 robots"):
        RecordingSettings(rows=10)
