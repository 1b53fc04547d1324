"""When robots fall: by hand."""

import numpy as np
import pytest

from rwmu_train.evaluation.policy.fall_times import fall_times


def test_falls_are_counted_by_time_and_by_time_since_the_command() -> None:
    # Commands of 10 s at 50 Hz: the falls come 0.02, 9.98, 0 and 3 s after theirs.
    times = fall_times(np.array([-1, 1, 499, 500, 650]), 1000, 500, 0.02)
    assert len(times.by_time) == 20
    assert {i: count for i, count in enumerate(times.by_time) if count} == {
        0: 1,
        9: 1,
        10: 1,
        13: 1,
    }
    assert len(times.by_time_since_command) == 20
    since = {i: count for i, count in enumerate(times.by_time_since_command) if count}
    assert since == {0: 2, 6: 1, 19: 1}
    assert times.soon_share == pytest.approx(0.5)


def test_without_falls_there_is_no_share_of_them() -> None:
    times = fall_times(np.array([-1, -1]), 50, 500, 0.02)
    assert times.by_time == (0,)
    assert times.by_time_since_command == (0, 0)
    assert times.soon_share is None


def test_every_fall_is_in_both_histograms() -> None:
    steps = np.random.default_rng(0).integers(-1, 777, 300)
    times = fall_times(steps, 777, 500, 0.02)
    assert sum(times.by_time) == sum(times.by_time_since_command) == (steps >= 0).sum()
