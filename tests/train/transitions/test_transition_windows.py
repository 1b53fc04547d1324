"""Windows cross no episode, gap or file, and none is forgotten."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rwmu_deploy.collection.transition_segment import EpisodeSpan, SegmentOrigin, write_segment
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.windows import gather, window_starts

SPEC = load_robot_spec("anymal_d")
ENDS = ("terminated", "truncated", "gap", "continues")


def write_layout(folder: Path, layout: list[list[tuple[int, str]]]) -> tuple[list[int], int]:
    """Write files of (rows, end) spans; column 0 counts the rows.

    Returns the episode that each row belongs to, counted by a plain loop, and the row count.
    """
    owner: list[int] = []
    episode = 0
    for spans in layout:
        rows = np.zeros((sum(count for count, _ in spans), 66))
        rows[:, 0] = np.arange(len(owner), len(owner) + len(rows))
        bounds, first = [], 0
        for count, end in spans:
            bounds.append(EpisodeSpan(first, first + count - 1, end, (float(first), 0.0, 0.0)))  # pyright: ignore[reportArgumentType]
            first += count
            owner += [episode] * count
            if end == "terminated":
                rows[first - 1, 65] = 1.0
            if end != "continues":
                episode += 1
        episode += 1
        write_segment(folder, SPEC, rows, bounds, SegmentOrigin("sim", "", "", ""))
    return owner, len(owner)


SPANS = st.lists(st.tuples(st.integers(1, 12), st.sampled_from(ENDS)), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(layout=st.lists(SPANS, min_size=1, max_size=3), length=st.integers(1, 14))
def test_windows_are_those_of_a_row_by_row_search(tmp_path_factory, layout, length) -> None:
    folder = tmp_path_factory.mktemp("layout")
    owner, count = write_layout(folder, layout)
    data = load_dataset(folder, SPEC)
    expected = [
        start
        for start in range(count - length + 1)
        if len(set(owner[start : start + length])) == 1
    ]
    starts = window_starts(data, length)
    assert starts.dtype == np.int64
    assert starts.tolist() == expected
    for window, start in zip(gather(data, starts, length), expected, strict=True):
        assert window[:, 0].tolist() == list(range(start, start + length))
        assert not window[:-1, 65].any()


@settings(max_examples=30, deadline=None)
@given(
    layout=st.lists(SPANS, min_size=1, max_size=3),
    length=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_parts_of_a_split_share_no_row_of_any_window(
    tmp_path_factory, layout, length, seed
) -> None:
    folder = tmp_path_factory.mktemp("layout")
    owner, count = write_layout(folder, layout)
    if count < 2:
        return
    parts = load_dataset(folder, SPEC).split(0.4, seed)
    rows = [set(gather(p, window_starts(p, length), length)[..., 0].ravel()) for p in parts]
    assert not rows[0] & rows[1]
    for part in parts:
        for start in window_starts(part, length):
            assert len(set(owner[start : start + length])) == 1


@pytest.fixture
def data(tmp_path: Path) -> TransitionDataset:
    write_layout(tmp_path, [[(5, "continues"), (4, "gap"), (3, "truncated")], [(6, "gap")]])
    return load_dataset(tmp_path, SPEC)


def test_window_starts_by_hand(data: TransitionDataset) -> None:
    assert window_starts(data, 4).tolist() == [0, 1, 2, 3, 4, 5, 12, 13, 14]
    assert window_starts(data, 9).tolist() == [0]
    assert window_starts(data, 10).tolist() == []


@pytest.mark.parametrize("length", [0, -3])
def test_window_without_rows_is_refused(data: TransitionDataset, length: int) -> None:
    with pytest.raises(ConfigError, match="window length"):
        window_starts(data, length)
