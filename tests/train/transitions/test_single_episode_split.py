from dataclasses import replace

import pytest


@pytest.mark.parametrize("seed", range(6))
def test_the_end_of_a_short_single_episode_validates(small_dataset, seed) -> None:
    one = replace(
        small_dataset,
        episode_start=small_dataset.episode_start[:1],
        episode_end=small_dataset.episode_end[:1],
        episode_end_kind=small_dataset.episode_end_kind[:1],
    )
    train, validation = one.split(0.1, seed)
    assert train.episode_length.tolist() == [135]
    assert validation.episode_length.tolist() == [15]


@pytest.mark.parametrize("seed", range(6))
def test_scraps_beside_the_only_long_episode_validate_nothing(small_dataset, seed) -> None:
    two = replace(
        small_dataset,
        episode_start=small_dataset.episode_start[:2],
        episode_end=small_dataset.episode_end[:2] - [0, 125],
        episode_end_kind=("truncated", "gap"),
    )
    train, validation = two.split(0.3, seed)
    assert train.episode_length.tolist() == [105, 25]
    assert train.episode_end_kind == ("gap", "gap")
    assert validation.episode_length.tolist() == [45]
    assert validation.episode_end_kind == ("truncated",)
