"""Recordings on the disk: whole episodes, bounded memory, and nothing torn."""

import json
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rwmu_deploy.contract.errors import LogError
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.simulation.robot_variant import FIELD, NOMINAL
from rwmu_train.reference import segment_process
from rwmu_train.reference.collector import Collector
from rwmu_train.reference.episode_buffer import RecordedEpisode
from rwmu_train.reference.recorded_segments import (
    recording_origin,
    recording_origins,
    spans_of,
    write_recording,
)
from rwmu_train.reference.recording import RecordingSettings
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.transition_files import read_transition_file

ORIGIN = recording_origin("test", NOMINAL, 0)


def episode(length: int, fell: bool = False, command: float = 0.5) -> RecordedEpisode:
    rng = np.random.default_rng(length)
    rows = rng.normal(size=(length, 66)).astype(np.float32)
    rows[:, 57:] = 0.0
    rows[-1, 65] = fell
    return RecordedEpisode(0, rows, np.full((length, 3), command, np.float32), fell)


def test_spans_change_with_the_command_and_end_with_the_episode() -> None:
    turning = episode(4, fell=True)
    turning.command[2:] = [0.0, 1.0, 0.0]
    assert [(s.first_row, s.last_row, s.end) for s in spans_of([turning, episode(1)])] == [
        (0, 1, "continues"),
        (2, 3, "terminated"),
        (4, 4, "truncated"),
    ]


def test_files_hold_whole_episodes_in_order(spec, tmp_path: Path) -> None:
    episodes = [episode(length, fell=length % 2 == 0) for length in range(1, 12)]
    summary = write_recording(episodes, spec, tmp_path, [ORIGIN], rows_per_file=20)
    assert (summary.rows, summary.episodes, summary.falls) == (66, 11, 5)
    dataset = load_dataset(tmp_path, spec)
    np.testing.assert_array_equal(dataset.rows, np.concatenate([e.rows for e in episodes]))
    np.testing.assert_array_equal(
        dataset.episode_end - dataset.episode_start, [len(e.rows) for e in episodes]
    )
    assert [kind == "terminated" for kind in dataset.episode_end_kind] == [
        e.fell for e in episodes
    ]
    lengths = [len(read_transition_file(path, spec).rows) for path in summary.paths]
    assert lengths == [21, 24, 21]  # 1 + ... + 6, 7 + 8 + 9, 10 + 11


def test_file_size_changes_no_row(spec, tmp_path: Path) -> None:
    episodes = [episode(length) for length in range(1, 12)]
    written = []
    for rows_per_file in (1, 30, 1000):
        folder = tmp_path / str(rows_per_file)
        summary = write_recording(episodes, spec, folder, [ORIGIN], rows_per_file=rows_per_file)
        written.append(b"".join(path.read_bytes() for path in summary.paths))
    assert written[0] == written[1] == written[2]


@pytest.mark.parametrize("behaviours", [1, 7])
def test_no_more_rows_wait_than_a_file_may_have(spec, tmp_path: Path, behaviours: int) -> None:
    alive: set[int] = set()
    most = 0

    def recorded() -> Iterator[RecordedEpisode]:
        nonlocal most
        for number in range(60):
            new = replace(episode(10), robot=number)
            alive.add(number)
            weakref.finalize(new, alive.discard, number)
            yield new
            del new
            most = max(most, len(alive))

    write_recording(recorded(), spec, tmp_path, [ORIGIN] * behaviours, rows_per_file=50)
    assert 2 <= most <= 5


def test_a_file_holds_the_episodes_of_one_behaviour(spec, tmp_path: Path) -> None:
    # Robots 0 to 4 take three behaviours in turn.
    episodes = [replace(episode(length), robot=length % 5) for length in range(1, 12)]
    acting = [Collector("first", 0, "first 9a"), Collector("second", 1, "second 0f")]
    acting.append(Collector("script"))
    origins = recording_origins(acting, RecordingSettings(seed=7))
    summary = write_recording(episodes, spec, tmp_path, origins, rows_per_file=30)
    found: dict[Collector, list[int]] = {}
    for path in summary.paths:
        meta = json.loads(path.with_name(path.stem + ".meta.json").read_text())
        file = read_transition_file(path, spec)
        lengths = (file.episode_end - file.episode_start).tolist()
        who = Collector(meta["note"].partition(";")[0], meta["generation"], meta["policy"])
        found.setdefault(who, []).extend(lengths)
    assert found == {
        who: [n for n in range(1, 12) if n % 5 % 3 == k] for k, who in enumerate(acting)
    }
    assert (summary.rows, summary.episodes) == (66, 11)


def test_the_sidecar_names_the_variant_with_its_values(spec, tmp_path: Path) -> None:
    origin = recording_origin("test", FIELD, 7)
    (path,) = write_recording([episode(3)], spec, tmp_path, [origin], rows_per_file=9).paths
    meta = json.loads(path.with_name("state_action_data_0.meta.json").read_text())
    assert meta["source"] == "sim"
    assert (meta["variant"]["name"], meta["variant"]["seed"]) == ("field", 7)
    assert meta["variant"]["payload_mass_kg"] == 3.0
    assert meta["variant"]["ground_friction"] == [0.5, 0.9]


def test_a_sidecar_from_before_variants_is_read(spec, tmp_path: Path) -> None:
    (path,) = write_recording([episode(3)], spec, tmp_path, [ORIGIN], rows_per_file=9).paths
    sidecar = path.with_name("state_action_data_0.meta.json")
    meta = json.loads(sidecar.read_text())
    del meta["variant"]
    sidecar.write_text(json.dumps(meta))
    assert len(load_dataset(tmp_path, spec).rows) == 3


def test_an_interrupted_recording_leaves_its_finished_segments(spec, tmp_path: Path) -> None:
    def recorded() -> Iterator[RecordedEpisode]:
        for _ in range(5):
            yield episode(10)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_recording(recorded(), spec, tmp_path, [ORIGIN], rows_per_file=20)
    assert len(list(tmp_path.iterdir())) == 6  # nothing but two segments
    assert load_dataset(tmp_path, spec).row_count == 40


def test_a_folder_that_cannot_be_written_is_named(spec, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match=r"can't be written to .*file"):
        write_recording([episode(3)], spec, tmp_path / "file", [ORIGIN], rows_per_file=1)


def test_a_writer_that_was_killed_is_an_error_and_not_a_missing_file(
    spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(
        segment_process.subprocess,
        "Popen",
        lambda *a, **k: started.append(popen(*a, **k)) or started[-1],
    )

    def recorded() -> Iterator[RecordedEpisode]:
        yield episode(3)
        os.kill(started[0].pid, signal.SIGKILL)
        started[0].wait()
        yield episode(4)

    with pytest.raises(LogError, match="ended with code -9"):
        write_recording(recorded(), spec, tmp_path, [ORIGIN], rows_per_file=3)


RECORDS_FOREVER = """
import sys
from pathlib import Path
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.simulation.robot_variant import NOMINAL
from rwmu_train.reference.behaviours import stand
from rwmu_train.reference.recorded_segments import recording_origin, write_recording
from rwmu_train.reference.recording import RecordingSettings, record
from rwmu_train.task.velocity_task import find_task
spec = load_robot_spec("anymal_d")
settings = RecordingSettings(rows=10**9, robots=40, action_noise=(1.0,))
write_recording(
    record([stand(spec, 40, 0)], spec, find_task("anymal_d_flat"), settings),
    spec, Path(sys.argv[1]), [recording_origin("", NOMINAL, 0)], rows_per_file=300,
)
"""


def test_a_recording_that_is_killed_leaves_only_whole_segments(spec, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    recording = subprocess.Popen([sys.executable, "-c", RECORDS_FOREVER, str(folder)])
    try:
        end_s = time.monotonic() + 100.0
        while len(list(folder.glob("*.csv"))) < 6:
            assert recording.poll() is None
            assert time.monotonic() < end_s
            time.sleep(0.02)
    finally:
        recording.kill()
        recording.wait()
    while any(path.name.endswith(".tmp") for path in folder.iterdir()):
        assert time.monotonic() < end_s, "the writer goes on without a recording"
        time.sleep(0.02)
    dataset = load_dataset(folder, spec)
    assert dataset.row_count >= 600
    assert TransitionColumns.of(spec).count == dataset.rows.shape[1]
