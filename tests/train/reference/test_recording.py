"""Recorded episodes: what robots did, before any reset, in equal order for equal seeds."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.simulation.robot_variant import FIELD
from rwmu_train.reference.behaviours import follow
from rwmu_train.reference.episode_buffer import EpisodeBuffer, RecordedEpisode
from rwmu_train.reference.recording import RecordingSettings, record
from rwmu_train.task.velocity_task import find_task

TASK = find_task("anymal_d_flat")
SETTINGS = RecordingSettings(
    rows=1600, robots=8, action_noise=(0.0, 0.2), command_steps=(20, 40), seed=3
)
STAND = follow(lambda observation: torch.zeros(len(observation), 12))
FLAIL = follow(lambda observation: 3.0 * torch.sign(observation[:, 24:36]))


@pytest.fixture(scope="module")
def recording(spec) -> list[RecordedEpisode]:
    return list(record([STAND, FLAIL], spec, TASK, SETTINGS))


def rows_of(episodes: list[RecordedEpisode]) -> np.ndarray:
    return np.concatenate([episode.rows for episode in episodes])


def test_every_robot_makes_as_many_rows(recording) -> None:
    count = np.zeros(8)
    for episode in recording:
        count[episode.robot] += len(episode.rows)
    assert count.tolist() == [200] * 8


def test_a_fall_is_the_last_row_of_its_episode(recording, spec) -> None:
    fell = TransitionColumns.of(spec).termination.start
    assert any(episode.fell for episode in recording)
    for episode in recording:
        assert episode.rows[:-1, fell].tolist() == [0.0] * (len(episode.rows) - 1)
        assert episode.rows[-1, fell] == float(episode.fell)


def test_standing_robots_do_not_fall_and_flailing_ones_do(recording) -> None:
    falls = np.zeros(8)
    for episode in recording:
        falls[episode.robot] += episode.fell
    assert falls[0] == 0
    assert falls[1::2].sum() > 0


def test_a_row_before_a_reset_is_not_yet_the_new_robot(recording, spec) -> None:
    joints = TransitionColumns.of(spec).joint_position_offset_rad.slice
    for episode in recording:
        step = np.abs(np.diff(episode.rows[:, joints], axis=0))
        # A joint can't get further within 0.02 s; a reset would move it more.
        assert step.max(initial=0.0) < 0.6


def test_applied_actions_stay_within_the_joint_limits(recording, spec) -> None:
    actions = rows_of(recording)[:, TransitionColumns.of(spec).action.slice]
    targets = spec.default_position_rad + spec.action_scale * actions
    assert (targets <= spec.upper_rad + 1e-6).all()
    assert (targets >= spec.lower_rad - 1e-6).all()


def test_the_same_seed_records_the_same_episodes_in_the_same_order(spec, recording) -> None:
    again = list(record([STAND, FLAIL], spec, TASK, SETTINGS))
    assert [episode.robot for episode in again] == [episode.robot for episode in recording]
    np.testing.assert_array_equal(rows_of(again), rows_of(recording))
    other = list(record([STAND, FLAIL], spec, TASK, replace(SETTINGS, seed=4)))
    assert not np.array_equal(rows_of(other)[:100], rows_of(recording)[:100])


SHA256_OF_A_RECORDING = """
import hashlib, os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])
import torch
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.policy.policy_network import PolicyNetwork
from rwmu_train.reference.behaviours import follow
from rwmu_train.reference.recording import RecordingSettings, record
from rwmu_train.task.velocity_task import find_task
spec = load_robot_spec("anymal_d")
torch.manual_seed(0)
policies = [follow(PolicyNetwork(spec, [128, 128, 128])) for _ in range(3)]
settings = RecordingSettings(rows=1200, robots=60, action_noise=(0.3,))
episodes = record(policies, spec, find_task("anymal_d_flat"), settings)
print(hashlib.sha256(b"".join(episode.rows.tobytes() for episode in episodes)).hexdigest())
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one processor only")
def test_the_number_of_processors_changes_no_bit() -> None:
    """Without a thread of its own for each group, torch rounds otherwise on more processors."""
    one, two = (
        subprocess.run(
            [sys.executable, "-c", SHA256_OF_A_RECORDING, processors],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for processors in ("1", "2")
    )
    assert one == two


def test_field_robots_do_otherwise(spec, recording) -> None:
    field = list(record([STAND, FLAIL], spec, TASK, replace(SETTINGS, variant=FIELD)))
    standing = [
        np.mean([np.abs(e.rows[50:, 33:45]).mean() for e in episodes if e.robot == 0])
        for episodes in (recording, field)
    ]
    assert standing[1] > 1.02 * standing[0]  # 6 % more mass on the same legs


def test_time_and_robot_numbers_reach_the_behaviours(spec) -> None:
    seen: list[tuple[list[int], float]] = []

    def act(observation: torch.Tensor, robots: torch.Tensor, time_s: float) -> torch.Tensor:
        assert len(observation) == len(robots)
        seen.append((robots.tolist(), round(time_s, 6)))
        return torch.zeros(len(observation), 12)

    settings = RecordingSettings(rows=15, robots=5, action_noise=(0.0,))
    list(record([act], spec, TASK, settings))
    assert sorted(robot for robots, _ in seen for robot in robots) == sorted([0, 1, 2, 3, 4] * 3)
    assert {time_s for _, time_s in seen} == {0.0, 0.02, 0.04}


def test_the_buffer_gives_each_robots_rows_in_order_and_forgets_them() -> None:
    buffer = EpisodeBuffer(2, longest=3, columns=1, first_robot=10)
    no_fall = np.zeros(2, dtype=np.bool_)
    for step in range(7):  # more steps than it has room for
        buffer.append(np.array([[step], [100 + step]], np.float32), np.zeros((2, 3), np.float32))
        if step % 2:
            (episode,) = buffer.end([0], no_fall)
            assert (episode.robot, episode.rows.ravel().tolist()) == (10, [step - 1.0, step])
        if step % 3 == 2:
            (episode,) = buffer.end([1], np.array([False, True]))
            assert episode.rows.ravel().tolist() == [98.0 + step, 99.0 + step, 100.0 + step]
            assert episode.fell
    assert [len(episode.rows) for episode in buffer.end_all()] == [1, 1]
    assert buffer.end_all() == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rows": 10}, "10 rows by 500 robots"),
        ({"rows_per_file": 0}, "rows_per_file is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"action_noise": ()}, r"action noise \(\)"),
        ({"action_noise": (float("nan"),)}, r"action noise \(nan,\)"),
    ],
)
def test_settings_out_of_range_are_refused(values: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        RecordingSettings(**values)


def test_a_robot_too_few_for_every_behaviour_at_every_noise_is_refused(spec) -> None:
    settings = RecordingSettings(rows=100, robots=3, action_noise=(0.0, 0.1))
    with pytest.raises(ConfigError, match="3 robots for 2 behaviours x 2 levels"):
        next(record([STAND, FLAIL], spec, TASK, settings))
