"""Distances between channels, by hand and by their laws."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwmu_train.pictures.channel_distance import (
    channel_histograms,
    distance_in_std,
    wasserstein_distance,
)

SAMPLES = st.lists(st.floats(-100, 100), min_size=1, max_size=20).map(np.array)


def shifted(dataset, column: int, by: float):
    rows = dataset.rows.copy()
    rows[:, column] += by
    return replace(dataset, rows=rows)


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        ([0.0, 1.0], [0.0, 1.0], 0.0),
        ([0.0, 1.0], [3.0, 2.0], 2.0),
        ([0.0], [0.0, 4.0], 2.0),
        ([0.0, 0.0, 3.0], [1.0], 4.0 / 3.0),
    ],
)
def test_the_mean_way_that_values_move(a, b, distance) -> None:
    assert wasserstein_distance(np.array(a), np.array(b)) == pytest.approx(distance)


@given(SAMPLES, SAMPLES, st.floats(-10, 10))
def test_it_is_a_distance_that_knows_no_origin(a, b, offset) -> None:
    distance = wasserstein_distance(a, b)
    assert distance >= abs(a.mean() - b.mean()) - 1e-9
    assert wasserstein_distance(b, a) == pytest.approx(distance, abs=1e-9)
    assert wasserstein_distance(a + offset, b + offset) == pytest.approx(distance, abs=1e-9)
    assert wasserstein_distance(a, np.concatenate([a, a])) == pytest.approx(0.0, abs=1e-9)


def test_a_reference_that_never_moves_is_infinitely_far_from_what_does() -> None:
    still = np.full(5, 2.0)
    assert distance_in_std(still, still) == 0.0
    assert distance_in_std(still + 1.0, still) == float("inf")
    assert distance_in_std(still, np.array([1.0, 3.0])) == 1.0


def test_the_channel_that_moved_most_comes_first(small_dataset) -> None:
    column = small_dataset.columns.joint_torque_nm.start + 4
    std = float(small_dataset.rows[:, column].std())
    first, *others = channel_histograms(shifted(small_dataset, column, 2 * std), small_dataset)
    assert (first.block.name, first.label) == ("joint_torque_nm", "LF_HFE")
    assert first.distance_std == pytest.approx(2.0, rel=1e-3)
    assert all(other.distance_std == 0.0 for other in others)


def test_both_sets_share_bins_and_nearly_all_rows_are_in_them(small_dataset) -> None:
    column = small_dataset.columns.base_linear_velocity_mps.start
    for channel in channel_histograms(shifted(small_dataset, column, 3.0), small_dataset):
        assert channel.reference_share is not None
        assert 0.99 < channel.share.sum() <= 1.0 + 1e-9
        assert 0.99 < channel.reference_share.sum() <= 1.0 + 1e-9


def test_without_a_reference_channels_keep_their_order(small_dataset) -> None:
    channels = channel_histograms(small_dataset, None)
    assert len(channels) == 45 + 12
    assert [channel.label for channel in channels[:3]] == ["x", "y", "z"]
    assert channels[-1].block.name == "action"
    assert {channel.distance_std for channel in channels} == {None}
