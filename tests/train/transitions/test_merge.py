"""Merging copies every byte of verified files, or nothing."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from rwmu_deploy.collection.segment_files import SegmentPaths
from rwmu_deploy.collection.transition_segment import EpisodeSpan
from rwmu_deploy.contract.errors import LogError, TransitionFileError
from rwmu_train.transitions import merge as merge_module
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.merge import merge


def contents(folder: Path) -> dict[str, bytes]:
    """Files by name, without caches."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix != ".rows"}


@contextmanager
def largest_file_bytes(count: int) -> Iterator[None]:
    """A disk that takes no longer file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def two_folders(segment, random_rows, tmp_path) -> list[Path]:
    """Folder a with two segments, folder b with one."""
    ends = [EpisodeSpan(0, 1, "gap", (1, 0, 0)), EpisodeSpan(2, 3, "truncated", (0, 1, 0))]
    segment(random_rows(3, 1), folder="a")
    segment(random_rows(4, 2), ends, folder="a")
    segment(random_rows(2, 3), folder="b")
    return [tmp_path / "a", tmp_path / "b"]


def test_files_are_numbered_on_and_no_byte_changes(two_folders, spec, tmp_path) -> None:
    merge(two_folders, spec, tmp_path / "out")
    wanted = [(0, two_folders[0], 0), (1, two_folders[0], 1), (2, two_folders[1], 0)]
    for index, folder, old_index in wanted:
        new, old = SegmentPaths.of(tmp_path / "out", index), SegmentPaths.of(folder, old_index)
        for kind in ("csv", "episodes", "meta"):
            assert getattr(new, kind).read_bytes() == getattr(old, kind).read_bytes()
    assert len(contents(tmp_path / "out")) == 9


def test_the_merged_folder_reads_like_its_parts(two_folders, spec, tmp_path) -> None:
    merge(two_folders, spec, tmp_path / "out")
    apart, merged = load_dataset(two_folders, spec), load_dataset(tmp_path / "out", spec)
    np.testing.assert_array_equal(merged.rows, apart.rows)
    np.testing.assert_array_equal(merged.velocity_command, apart.velocity_command)
    assert merged.episode_end_kind == apart.episode_end_kind
    assert merged.file_sha256 == apart.file_sha256


def test_a_copy_does_not_change_with_its_source(two_folders, spec, tmp_path) -> None:
    merge(two_folders, spec, tmp_path / "out")
    with open(two_folders[1] / "state_action_data_0.csv", "ab") as file:
        file.write(b"torn")
    assert load_dataset(tmp_path / "out", spec).row_count == 9


def test_a_csv_without_sidecar_is_copied_without_one(two_folders, spec, tmp_path) -> None:
    paths = SegmentPaths.of(two_folders[1], 0)
    paths.episodes.unlink()
    paths.meta.unlink()
    merge(two_folders, spec, tmp_path / "out")
    assert not SegmentPaths.of(tmp_path / "out", 2).meta.exists()
    assert load_dataset(tmp_path / "out", spec).row_count == 9


def test_the_ticks_of_a_logged_segment_come_along(logged, two_folders, spec, tmp_path) -> None:
    out = tmp_path / "out"
    merge([two_folders[1], logged.parent], spec, out)
    merge([two_folders[0]], spec, out, append=True)
    old, new = SegmentPaths.beside(logged), SegmentPaths.of(out, 1)
    assert new.ticks.read_bytes() == old.ticks.read_bytes()
    assert [SegmentPaths.of(out, i).ticks.exists() for i in range(4)] == [
        False,
        True,
        False,
        False,
    ]
    assert load_dataset(out, spec).row_count == 15


def test_a_logged_segment_is_appended_with_its_ticks(logged, two_folders, spec, tmp_path) -> None:
    out = tmp_path / "out"
    merge([two_folders[0]], spec, out)
    merge([logged.parent], spec, out, append=True)
    assert SegmentPaths.of(out, 2).ticks.exists()
    assert load_dataset(out, spec).row_count == 13


def test_append_goes_on_after_what_is_there(two_folders, spec, tmp_path) -> None:
    before = contents(two_folders[0])
    result = merge(two_folders[1:], spec, two_folders[0], append=True)
    after = contents(two_folders[0])
    assert [csv.name for _, csv in result.files] == ["state_action_data_2.csv"]
    assert before.items() < after.items()
    assert len(after) == 9
    assert load_dataset(two_folders[0], spec).row_count == 9


@pytest.mark.parametrize("make", [False, True], ids=["absent", "empty"])
def test_append_to_nothing_makes_a_folder(two_folders, spec, tmp_path, make) -> None:
    if make:
        (tmp_path / "out").mkdir()
    merge(two_folders, spec, tmp_path / "out", append=True)
    assert load_dataset(tmp_path / "out", spec).row_count == 9


def test_a_csv_that_is_there_twice_is_refused_by_name(two_folders, spec, tmp_path) -> None:
    with pytest.raises(TransitionFileError, match=r"a/state_action_data_0\.csv and .*a/state_act"):
        merge([two_folders[0], two_folders[0]], spec, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_duplicates_are_skipped_when_asked(two_folders, spec, tmp_path) -> None:
    result = merge([*two_folders, *two_folders], spec, tmp_path / "out", skip_duplicates=True)
    assert (len(result.files), len(result.duplicates)) == (3, 3)
    again = merge(two_folders, spec, tmp_path / "out", append=True, skip_duplicates=True)
    assert (len(again.files), len(again.duplicates)) == (0, 3)
    assert load_dataset(tmp_path / "out", spec).row_count == 9


def test_what_append_finds_there_counts_as_seen(two_folders, spec, tmp_path) -> None:
    with pytest.raises(TransitionFileError, match="hold the same 3 rows"):
        merge(two_folders[:1], spec, two_folders[0], append=True)


def test_the_only_sidecar_is_not_skipped(two_folders, spec, tmp_path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    csv = two_folders[1] / "state_action_data_0.csv"
    (bare / csv.name).write_bytes(csv.read_bytes())
    with pytest.raises(TransitionFileError, match="only the second has a sidecar"):
        merge([bare, two_folders[1]], spec, tmp_path / "out", skip_duplicates=True)


def test_one_torn_file_refuses_all_before_anything_is_written(two_folders, spec, tmp_path) -> None:
    csv = two_folders[1] / "state_action_data_0.csv"
    csv.write_bytes(csv.read_bytes()[:-1])
    with pytest.raises(TransitionFileError, match=r"b/state_action_data_0\.csv.*cut off"):
        merge(two_folders, spec, tmp_path / "new" / "out")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [("robot", "g1"), ("control_dt_s", 0.01), ("joint_names", ["RF_HAA", "LF_HAA"])],
)
def test_another_robot_order_or_step_is_refused(two_folders, spec, tmp_path, key, value) -> None:
    path = SegmentPaths.of(two_folders[1], 0).meta
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(TransitionFileError, match=key):
        merge(two_folders, spec, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(two_folders, spec, tmp_path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(LogError, match=r"not empty: it holds notes\.txt"):
        merge(two_folders, spec, out)
    assert contents(out) == {"notes.txt": b"mine"}


@pytest.mark.parametrize("append", [False, True])
def test_a_full_disk_leaves_everything_as_it_was(
    segment, random_rows, two_folders, spec, tmp_path, append
) -> None:
    segment(random_rows(1000), folder="big")
    out = two_folders[1] if append else tmp_path / "out"
    before = {path.name for path in tmp_path.iterdir()}, contents(two_folders[1])
    with largest_file_bytes(100_000), pytest.raises(LogError, match="can't be written"):
        merge([two_folders[0], tmp_path / "big"], spec, out, append=append)
    assert ({path.name for path in tmp_path.iterdir()}, contents(two_folders[1])) == before


def test_a_sidecar_in_the_way_is_never_replaced(two_folders, spec, tmp_path) -> None:
    stray = two_folders[0] / "state_action_data_2.meta.json"
    stray.write_text("{}")
    before = contents(two_folders[0])
    with pytest.raises(LogError, match=r"state_action_data_2\.meta\.json is there already"):
        merge(two_folders[1:], spec, two_folders[0], append=True)
    assert contents(two_folders[0]) == before


def test_a_file_that_changes_after_it_was_verified_is_refused(
    two_folders, spec, tmp_path, monkeypatch
) -> None:
    real = merge_module.check_files

    def check_then_change(places, spec):
        found = real(places, spec)
        csv = two_folders[1] / "state_action_data_0.csv"
        csv.write_bytes(csv.read_bytes() * 2)
        return found

    monkeypatch.setattr(merge_module, "check_files", check_then_change)
    with pytest.raises(TransitionFileError, match="changed while it was merged"):
        merge(two_folders, spec, tmp_path / "out")
    assert not (tmp_path / "out").exists()
