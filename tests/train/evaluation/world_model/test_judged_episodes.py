"""Only episodes that training has not seen judge a model, and it is said which."""

from dataclasses import replace

import numpy as np
import pytest

from rwmu_deploy.contract.errors import ConfigError, TransitionFileError
from rwmu_train.evaluation.world_model.forecast_windows import draw_windows, longest_horizon
from rwmu_train.evaluation.world_model.judged_episodes import choose_episodes


def two_files(dataset, hashes):
    """The same rows as if they came from two files."""
    (file,) = dataset.files
    return replace(dataset, files=tuple(replace(file, sha256=sha256) for sha256 in hashes))


def test_held_out_is_what_training_held_out(small_dataset, facts) -> None:
    training, held_out = small_dataset.split(0.4, 3)
    chosen = choose_episodes(small_dataset, facts, "held-out", seed=99)
    np.testing.assert_array_equal(chosen.judged.episode_start, held_out.episode_start)
    np.testing.assert_array_equal(chosen.baseline.episode_start, training.episode_start)
    assert chosen.unseen is True
    assert "training held out" in chosen.explanation


def test_other_data_are_unseen_and_divided_by_episode(small_dataset, facts) -> None:
    facts = replace(facts, data_sha256=("another",))
    chosen = choose_episodes(small_dataset, facts, "held-out", seed=0)
    assert chosen.unseen is True
    assert "none of these files was trained on" in chosen.explanation
    assert not set(chosen.judged.member_rows()) & set(chosen.baseline.member_rows())


def test_a_model_that_names_no_data_is_not_called_unseen(small_dataset, facts) -> None:
    chosen = choose_episodes(small_dataset, replace(facts, data_sha256=()), "held-out", seed=0)
    assert chosen.unseen is None
    assert "doesn't say" in chosen.explanation


@pytest.mark.parametrize("hashes", [("b", "a"), ("a",), ("a", "new"), ("a", "b", "new")])
def test_part_of_the_training_data_or_another_order_is_refused(
    small_dataset, facts, hashes
) -> None:
    facts = replace(facts, data_sha256=("a", "b"))
    dataset = two_files(small_dataset, hashes)
    with pytest.raises(ConfigError, match="held-out episodes can't be told"):
        choose_episodes(dataset, facts, "held-out", seed=0)
    assert choose_episodes(dataset, facts, "all", seed=0).unseen is False


def test_all_episodes_are_all_and_not_called_unseen(small_dataset, facts) -> None:
    chosen = choose_episodes(small_dataset, facts, "all", seed=0)
    assert chosen.judged.row_count == small_dataset.row_count
    assert chosen.unseen is False


def test_settings_without_a_split_are_refused(small_dataset, facts) -> None:
    with pytest.raises(ConfigError, match="validation_share None"):
        choose_episodes(small_dataset, replace(facts, settings={}), "held-out", seed=0)


def test_the_horizon_is_what_every_part_allows(small_dataset) -> None:
    short = replace(small_dataset, episode_end=small_dataset.episode_start + 40)
    assert longest_horizon((small_dataset, short), history=32, wanted=368) == 8
    assert longest_horizon((small_dataset, small_dataset), history=32, wanted=50) == 50
    with pytest.raises(TransitionFileError, match="no held-out episode is long enough"):
        longest_horizon((small_dataset, short), history=40, wanted=368)


def test_windows_differ_and_count_their_episodes(small_dataset, facts) -> None:
    drawn = draw_windows(small_dataset, facts.normaliser, history=8, horizon=141, count=50, seed=0)
    assert (drawn.count, drawn.episodes, drawn.horizon) == (12, 6, 141)
    assert len(np.unique(drawn.batch.state[0].numpy(), axis=0)) == 12
