"""A written split gives every row to one side, with what is known about it."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rwmu_deploy.collection.segment_files import SegmentPaths
from rwmu_deploy.collection.transition_segment import EpisodeSpan, SegmentOrigin, write_segment
from rwmu_deploy.contract.errors import ConfigError, LogError, TransitionFileError
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.split_files import spans_of_episodes, write_split

UNKNOWN = (float("nan"),) * 3


def rows_counted(rows: np.ndarray) -> Counter[bytes]:
    return Counter(row.tobytes() for row in rows)


@pytest.fixture
def folder(tmp_path, spec, columns, random_rows) -> Path:
    """Two files of 20 episodes: one simulated, one of a robot with other gains; some falls."""
    stiff = replace(
        spec, joints=tuple(replace(joint, kp_nm_per_rad=99.0) for joint in spec.joints)
    )
    real = SegmentOrigin("real", "measured", "estimated", "state estimator", "f00d", "field day")
    for seed, (robot, origin) in enumerate(
        [(spec, SegmentOrigin("sim", "drive", "force", "truth")), (stiff, real)]
    ):
        rows = random_rows(200, seed)
        spans = []
        for first in range(0, 200, 10):
            falls = first % 40 == 0
            rows[first + 9, columns.termination.start] = float(falls)
            command = UNKNOWN if first == 0 else (0.1 * first, 0.0, 0.0)
            spans += [
                EpisodeSpan(first, first + 5, "continues", command),
                EpisodeSpan(first + 6, first + 9, "terminated" if falls else "gap", (0, 0, 1)),
            ]
        write_segment(tmp_path / "data", robot, rows, spans, origin)
    return tmp_path / "data"


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_every_row_is_on_exactly_one_side(folder, spec, tmp_path, share) -> None:
    whole = load_dataset(folder, spec)
    write_split(whole, tmp_path / "out", validation_share=share, seed=0)
    train, validation = (
        load_dataset(tmp_path / "out" / side, spec) for side in ("train", "validation")
    )
    ours, theirs = rows_counted(train.rows), rows_counted(validation.rows)
    assert ours + theirs == rows_counted(whole.rows)
    assert not ours & theirs
    assert validation.row_count == pytest.approx(share * 400, abs=10)


def test_episodes_stay_whole_with_their_commands_and_ends(folder, spec, tmp_path) -> None:
    def episodes(place: Path) -> Counter[tuple[bytes, bytes, str]]:
        data = load_dataset(place, spec)
        return Counter(
            (data.rows[a:b].tobytes(), data.velocity_command[a:b].tobytes(), kind)
            for a, b, kind in zip(
                data.episode_start, data.episode_end, data.episode_end_kind, strict=True
            )
        )

    parts = write_split(load_dataset(folder, spec), tmp_path / "out", validation_share=0.3, seed=1)
    train, validation = (episodes(part.folder) for part in parts)
    assert train + validation == episodes(folder)
    assert [part.episodes for part in parts] == [28, 12]
    assert [part.rows for part in parts] == [280, 120]
    assert sum(part.falls for part in parts) == 10


def test_the_sidecar_keeps_origin_and_gains_and_names_its_source(folder, spec, tmp_path) -> None:
    whole = load_dataset(folder, spec)
    write_split(whole, tmp_path / "out", validation_share=0.3, seed=7)
    for index in (0, 1):
        old = json.loads(SegmentPaths.of(folder, index).meta.read_text())
        new = json.loads(SegmentPaths.of(tmp_path / "out" / "train", index).meta.read_text())
        kept = ("source", "torque_source", "contact_source", "base_velocity_source")
        for key in (*kept, "bundle_sha256", "kp_nm_per_rad", "kd_nms_per_rad"):
            assert new[key] == old[key]
        assert new["note"].startswith(old["note"])
        assert f"state_action_data_{index}.csv with sha256 {old['csv_sha256']}" in new["note"]
        assert "train side, share 0.3, seed 7" in new["note"]


def test_the_same_seed_writes_the_same_rows(folder, spec, tmp_path) -> None:
    whole = load_dataset(folder, spec)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_split(whole, tmp_path / name, validation_share=0.2, seed=seed)
    a, b, c = (
        (tmp_path / name / "validation" / "state_action_data_0.csv").read_bytes() for name in "abc"
    )
    assert a == b != c


def test_a_cut_episode_ends_in_a_gap(segment, random_rows, spec, tmp_path) -> None:
    segment(random_rows(100))
    whole = load_dataset(tmp_path / "data", spec)
    write_split(whole, tmp_path / "out", validation_share=0.2, seed=0)
    train = load_dataset(tmp_path / "out" / "train", spec)
    assert (train.row_count, train.episode_end_kind) == (80, ("gap",))
    np.testing.assert_array_equal(train.rows, whole.rows[:80])


def test_spans_follow_the_command(segment, random_rows, spec, tmp_path) -> None:
    spans = [
        EpisodeSpan(0, 1, "continues", (1, 0, 0)),
        EpisodeSpan(2, 3, "truncated", (2, 0, 0)),
        EpisodeSpan(4, 5, "gap", (2, 0, 0)),
    ]
    segment(random_rows(6), spans)
    data = load_dataset(tmp_path / "data", spec)
    assert spans_of_episodes(data, [0, 1]) == spans
    assert spans_of_episodes(data, [1]) == [EpisodeSpan(0, 1, "gap", (2, 0, 0))]


def test_a_csv_without_sidecar_needs_its_source(folder, spec, tmp_path) -> None:
    paths = SegmentPaths.of(folder, 1)
    paths.meta.unlink()
    paths.episodes.unlink()
    whole = load_dataset(folder, spec)
    with pytest.raises(TransitionFileError, match=r"data_1\.csv has no sidecar.*--source sim"):
        write_split(whole, tmp_path / "out", validation_share=0.2, seed=0)
    assert not (tmp_path / "out").exists()
    write_split(
        whole, tmp_path / "out", validation_share=0.2, seed=0, source_without_sidecar="real"
    )
    sources = [file.source for file in load_dataset(tmp_path / "out" / "train", spec).files]
    assert sources == ["sim", "real"]


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, float("nan")])
def test_a_share_that_leaves_a_side_empty_writes_nothing(folder, spec, tmp_path, share) -> None:
    with pytest.raises(ConfigError, match="validation_share"):
        write_split(load_dataset(folder, spec), tmp_path / "out", validation_share=share, seed=0)
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_named(folder, spec, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match="file/out can't be written"):
        write_split(
            load_dataset(folder, spec), tmp_path / "file" / "out", validation_share=0.2, seed=0
        )


def test_gains_that_are_no_numbers_are_refused(folder, spec, tmp_path) -> None:
    path = SegmentPaths.of(folder, 0).meta
    path.write_text(json.dumps({**json.loads(path.read_text()), "kp_nm_per_rad": [1, 2]}))
    with pytest.raises(TransitionFileError, match="not 12 numbers each"):
        write_split(load_dataset(folder, spec), tmp_path / "out", validation_share=0.2, seed=0)


def test_delay_of_the_recorded_robot_stays_with_its_rows(tmp_path, spec, random_rows) -> None:
    origin = SegmentOrigin("sim", "", "", "", variant={"name": "f", "actuation_delay_s": 0.02})
    span = EpisodeSpan(0, 299, "truncated", UNKNOWN)
    write_segment(tmp_path / "data", spec, random_rows(300), [span], origin)
    parts = write_split(
        load_dataset(tmp_path / "data", spec), tmp_path / "out", validation_share=0.2, seed=0
    )
    assert [load_dataset(part.folder, spec).delay_rows for part in parts] == [1, 1]
