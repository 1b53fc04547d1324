"""Windows of 5 s and how they are ranked, by hand. A step is 0.1 s, a window 50."""

import numpy as np
import pytest
from walked import walked

from rwmu_train.evaluation.monitor.window_ranking import (
    disturbed_scores,
    rank_windows,
    undisturbed_scores,
)


def test_an_undisturbed_walk_is_cut_into_whole_windows() -> None:
    walk = walked(220, robots=2, falls=(169,))
    score = np.zeros((220, 2))
    score[:, 1] = np.arange(220)
    # The first robot ends at 170 less a second: windows 50 to 100, 100 to 150. The second has
    # a third one; its last 20 steps are no whole window.
    found = undisturbed_scores(walk, score, 50)
    assert found.tolist() == [0.0, 0.0, 99.0, 149.0, 199.0]
    assert len(undisturbed_scores(walked(220, 1, (158,)), score[:, :1], 50)) == 1


def test_the_first_window_of_a_disturbance_is_cut_by_the_fall_and_later_ones_are_whole() -> None:
    walk = walked(160, robots=4, falls=(60, 120, 50))
    score = np.tile(np.arange(160.0)[:, None], (1, 4))
    # The effect is measured from step 51 on. The third robot fell before that.
    first = disturbed_scores(walk, score, 50, lasts=False)
    assert first.tolist() == [60.0, 100.0, 100.0]
    everything = disturbed_scores(walk, score, 50, lasts=True)
    assert everything.tolist() == [60.0, 100.0, 100.0, 150.0]


def test_ranking_of_five_windows() -> None:
    found = rank_windows(np.array([3.0, 1.0]), np.array([2.0, 0.0, 1.0]))
    assert found is not None
    # Of six pairs: 3 above all three; 1 above 0, equal to 1, below 2.
    assert found.auroc == pytest.approx(4.5 / 6)
    false, true = found.curve
    assert true.tolist() == [0.0, 0.5, 0.5, 1.0, 1.0]
    assert false.tolist() == pytest.approx([0.0, 0.0, 1 / 3, 2 / 3, 1.0])
    assert found.seen_at_false_share == 0.5


def test_one_percent_of_the_others_may_be_false() -> None:
    others = np.arange(100.0)
    assert rank_windows(np.array([98.5, 97.5]), others).seen_at_false_share == 0.5  # type: ignore[union-attr]
    assert rank_windows(np.array([97.5]), others).seen_at_false_share == 0.0  # type: ignore[union-attr]


def test_what_is_beyond_all_numbers_ranks_first() -> None:
    assert rank_windows(np.array([np.inf]), np.array([5.0])).auroc == 1.0  # type: ignore[union-attr]


def test_without_windows_of_both_kinds_there_is_no_ranking() -> None:
    assert rank_windows(np.array([]), np.array([1.0])) is None
    assert rank_windows(np.array([1.0]), np.array([])) is None
