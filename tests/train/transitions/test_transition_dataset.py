"""A data set joins files without copying windows, and splits without sharing a row."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rwmu_deploy.collection.transition_segment import EpisodeSpan, SegmentOrigin, write_segment
from rwmu_deploy.contract.errors import ConfigError, TransitionFileError
from rwmu_deploy.contract.robot_spec import load_robot_spec, spec_from_dict, spec_to_dict
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.dataset_loading import dataset_of_files, load_dataset
from rwmu_train.transitions.transition_files import read_transition_file

SPEC = load_robot_spec("anymal_d")
COLUMNS = TransitionColumns.of(SPEC)


def dataset_of_lengths(lengths: list[int]) -> TransitionDataset:
    end = np.cumsum(np.array(lengths, dtype=np.int64))
    rows = np.zeros((end[-1], COLUMNS.count), dtype=np.float32)
    rows[:, 0] = np.arange(end[-1])
    return TransitionDataset(
        spec=SPEC,
        columns=COLUMNS,
        rows=rows,
        velocity_command=np.zeros((end[-1], 3), dtype=np.float32),
        episode_start=end - np.array(lengths, dtype=np.int64),
        episode_end=end,
        episode_end_kind=("truncated",) * len(lengths),
        files=(),
        notes=(),
    )


def test_files_and_folders_are_joined_in_order(segment, spec, random_rows, tmp_path) -> None:
    first, second, third = random_rows(3, 1), random_rows(4, 2), random_rows(2, 3)
    ends = [EpisodeSpan(0, 0, "gap", (1, 0, 0)), EpisodeSpan(1, 3, "continues", (0, 1, 0))]
    segment(first, folder="a")
    segment(second, ends, folder="a")
    alone = segment(third, folder="b")
    data = load_dataset([tmp_path / "a", alone], spec)
    np.testing.assert_array_equal(data.rows, np.concatenate([first, second, third]))
    assert data.episode_start.tolist() == [0, 3, 4, 7]
    assert data.episode_end.tolist() == [3, 4, 7, 9]
    assert data.episode_end_kind == ("truncated", "gap", "gap", "truncated")
    assert [(file.first_row, file.row_count) for file in data.files] == [(0, 3), (3, 4), (7, 2)]
    assert len(set(data.file_sha256)) == 3
    assert data.velocity_command[3:5].tolist() == [[1, 0, 0], [0, 1, 0]]


def test_a_collector_is_a_policy_else_a_bundle_else_a_note_else_a_folder(
    spec, random_rows, tmp_path
) -> None:
    plain = SegmentOrigin("sim", "simulated", "simulated", "simulated")
    origins = [
        replace(plain, note="stage 3", generation=3),
        replace(plain, note="stage 3", generation=3),
        replace(plain, note="one session", bundle_sha256="b1"),
        replace(plain, note="another session", bundle_sha256="b1"),
        replace(plain, source="real", note="another session", bundle_sha256="b1"),
        plain,
        replace(plain, note="seed 1", policy="run 9a"),
        replace(plain, note="seed 2", policy="run 9a", variant={"name": "field"}),
        replace(plain, note="seed 2", policy="run 0f"),
    ]
    paths = [
        write_segment(
            tmp_path / "data", spec, rows, [EpisodeSpan(0, 2, "truncated", (0, 0, 0))], o
        )
        for o, rows in ((o, random_rows(3, seed)) for seed, o in enumerate(origins))
    ]
    alone = tmp_path / "bare" / "state_action_data_0.csv"
    alone.parent.mkdir()
    alone.write_bytes(paths[0].read_bytes())
    files = load_dataset([*paths, alone], spec).files
    who = [file.collector for file in files]
    assert who[0] == who[1]
    assert who[2] == who[3]
    assert who[6] == who[7]
    assert len(set(who)) == 7
    assert [file.generation for file in files] == [3, 3, *[np.inf] * 8]


@pytest.mark.parametrize("stated", [-1, 1.5, "3", True])
def test_a_generation_that_is_no_count_is_refused(
    stated, segment, spec, random_rows, tmp_path
) -> None:
    path = segment(random_rows(3))
    sidecar = path.with_name(path.stem + ".meta.json")
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "generation": stated}))
    with pytest.raises(TransitionFileError, match=r"generation .*allowed is 0 up, or null"):
        load_dataset(tmp_path / "data", spec)


def test_blocks_are_views_of_the_public_columns(segment, spec, random_rows, tmp_path) -> None:
    rows = random_rows(3)
    segment(rows)
    data = load_dataset(tmp_path / "data", spec)
    for view, first, last in [
        (data.states, 0, 45),
        (data.actions, 45, 57),
        (data.extensions, 57, 57),
        (data.contacts, 57, 65),
        (data.terminations, 65, 66),
    ]:
        np.testing.assert_array_equal(view, rows[:, first:last])
        assert view.base is data.rows


def test_no_folder_is_refused(spec) -> None:
    with pytest.raises(ConfigError, match="no data folder"):
        load_dataset([], spec)


def test_one_bad_file_refuses_the_folder(segment, spec, random_rows, tmp_path) -> None:
    segment(random_rows(3))
    path = segment(random_rows(3))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TransitionFileError, match=r"state_action_data_1\.csv"):
        load_dataset(tmp_path / "data", spec)


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 2500), min_size=1, max_size=12),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 1000),
)
def test_split_gives_every_row_to_exactly_one_side(lengths, share, seed) -> None:
    if sum(lengths) < 2:
        lengths = [2]
    data = dataset_of_lengths(lengths)
    train, validation = data.split(share, seed)
    both = np.concatenate([train.member_rows(), validation.member_rows()])
    np.testing.assert_array_equal(np.sort(both), np.arange(sum(lengths)))
    assert train.row_count > 0
    assert validation.row_count > 0
    assert train.rows is data.rows
    owner = np.repeat(np.arange(len(lengths)), lengths)
    for part in (train, validation):
        assert (owner[part.episode_start] == owner[part.episode_end - 1]).all()
        assert (np.diff(part.episode_start) > 0).all()
        assert len(part.episode_end_kind) == len(part.episode_start)


def test_split_keeps_episodes_of_20_s_whole_and_hits_the_share() -> None:
    data = dataset_of_lengths([1000, 600, 800] * 20)
    train, validation = data.split(0.25, seed=3)
    whole = set(zip(data.episode_start.tolist(), data.episode_end.tolist(), strict=True))
    for part in (train, validation):
        assert (
            set(zip(part.episode_start.tolist(), part.episode_end.tolist(), strict=True)) < whole
        )
    assert abs(validation.row_count / data.row_count - 0.25) < 1000 / data.row_count


def test_one_endless_episode_can_be_split_and_loses_few_windows() -> None:
    data = dataset_of_lengths([100_000])
    train, validation = data.split(0.2, seed=0)
    assert validation.row_count == 20_000
    assert len(train.episode_start) + len(validation.episode_start) < 60
    assert set(validation.episode_end_kind) <= {"gap", "truncated"}


def test_split_depends_on_the_seed_alone() -> None:
    data = dataset_of_lengths([50] * 30)
    starts = [data.split(0.3, seed)[1].episode_start.tolist() for seed in (1, 1, 2)]
    assert starts[0] == starts[1] != starts[2]


def test_the_other_files_are_usable_without_the_refused_ones(
    segment, spec, random_rows, tmp_path
) -> None:
    first, torn, last = (segment(random_rows(count, seed=count)) for count in (5, 6, 7))
    torn.write_bytes(torn.read_bytes()[:-1])
    data = load_dataset(tmp_path / "data", spec, leave_out_refused=True)
    assert [file.path for file in data.files] == [first, last]
    np.testing.assert_array_equal(data.rows[5:], random_rows(7, seed=7))
    assert len(data.refused) == 1
    assert f"{torn}: row 5 (line 6) is cut off" in data.refused[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda robot: robot.update(control_dt_s=0.01), "control_dt_s is"),
        (lambda robot: robot["joints"].reverse(), "joint_names"),
    ],
    ids=["time step", "joint order"],
)
def test_source_of_another_order_or_time_step_is_named_and_the_other_is_usable(
    segment, spec, random_rows, tmp_path, change, said
) -> None:
    own = segment(random_rows(5))
    document = spec_to_dict(spec)
    change(document)
    other = spec_from_dict(document, source="another robot.yaml")
    span = EpisodeSpan(0, 3, "truncated", (0.0, 0.0, 0.0))
    origin = SegmentOrigin("real", "measured", "measured", "measured")
    path = write_segment(tmp_path / "other", other, random_rows(4), [span], origin)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(TransitionFileError, match=said) as caught:
        load_dataset([own.parent, path.parent], spec)
    assert path.name.removesuffix(".csv") in str(caught.value)
    data = load_dataset([own.parent, path.parent], spec, leave_out_refused=True)
    assert [file.path for file in data.files] == [own]
    assert said in data.refused[0]
    assert {file: file.read_bytes() for file in before} == before


def test_refused_files_alone_are_no_data(segment, spec, random_rows, tmp_path) -> None:
    torn = segment(random_rows(5))
    torn.write_bytes(torn.read_bytes()[:-1])
    with pytest.raises(TransitionFileError, match="is cut off"):
        load_dataset(tmp_path / "data", spec, leave_out_refused=True)


def test_many_files_are_joined_without_touching_them(segment, spec, random_rows, tmp_path) -> None:
    paths = [segment(random_rows(3, seed=seed)) for seed in range(5)]
    files = [read_transition_file(path, spec) for path in paths]
    data = dataset_of_files(files, spec)
    data.rows[:] = 0.0
    for seed, file in enumerate(files):
        np.testing.assert_array_equal(file.rows, random_rows(3, seed=seed))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_share_that_leaves_a_side_empty_is_refused(share) -> None:
    with pytest.raises(ConfigError, match="validation_share"):
        dataset_of_lengths([50, 50]).split(share, 0)


def test_single_row_cannot_be_split() -> None:
    with pytest.raises(ConfigError, match="1 rows can't be divided"):
        dataset_of_lengths([1]).split(0.5, 0)
