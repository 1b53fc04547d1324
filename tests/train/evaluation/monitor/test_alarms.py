"""False cautions, and times to detection, counted by hand. A step is 0.1 s."""

import numpy as np
import pytest
from walked import walked

from rwmu_train.evaluation.monitor.alarms import count_episodes, detection, false_alarms

ONSET = 50


def test_cautions_less_than_two_seconds_apart_are_one() -> None:
    walk = walked(360)
    # 1.9 s between the first two, 2.0 s between the last two.
    for start, end in ((10, 20), (39, 50), (70, 80)):
        walk.level[start:end] = 1
    found = false_alarms(walk)
    assert (found.cautions, found.losts, found.falls) == (2, 0, 0)
    assert found.hours == pytest.approx(36.0 / 3600.0)
    assert found.cautions_per_hour == pytest.approx(200.0)


def test_lost_is_a_caution_too_and_is_counted_each_time() -> None:
    walk = walked(100)
    walk.level[10], walk.level[12] = 2, 2
    found = false_alarms(walk)
    assert (found.cautions, found.losts) == (1, 2)


def test_the_last_second_before_a_fall_is_no_false_caution_and_no_hour() -> None:
    walk = walked(100, robots=2, falls=(49,))
    walk.level[40:50, 0] = 1
    found = false_alarms(walk)
    # 5.0 s less one, and 10.0 s.
    assert found.hours == pytest.approx(14.0 / 3600.0)
    assert (found.cautions, found.falls) == (0, 1)
    walk.level[39, 0] = 1
    assert false_alarms(walk).cautions == 1


def test_a_robot_that_falls_at_once_was_not_walking() -> None:
    found = false_alarms(walked(100, robots=2, falls=(3,)))
    assert found.hours == pytest.approx(10.0 / 3600.0)


def test_episodes_of_nothing_are_none_and_of_everything_one() -> None:
    assert count_episodes(np.zeros(5, dtype=bool), 2) == 0
    assert count_episodes(np.ones(5, dtype=bool), 2) == 1
    assert count_episodes(np.array([1, 0, 1, 0, 0, 1], dtype=bool), 2) == 2


def test_detection_times_count_from_the_onset_over_all_robots() -> None:
    walk = walked(250, robots=4)
    for robot, seen_s in enumerate((0.1, 0.4, 3.0)):
        walk.statistics[ONSET + round(10 * seen_s), robot, robot] = 1.5
    found = detection(walk, ONSET)
    assert (found.robots, found.seen, found.falls) == (4, 3, 0)
    assert found.median_s == pytest.approx(0.4)
    # Of four robots one was never seen: 90 % of them neither.
    assert found.ninety_percent_s is None
    assert found.lead_s is None


def test_what_was_said_before_the_effect_or_after_the_window_does_not_count() -> None:
    walk = walked(300, robots=3)
    walk.statistics[: ONSET + 1, 0, 0] = 9.0
    walk.statistics[ONSET + 150, 1, 0] = 9.0
    walk.statistics[ONSET + 151 :, 2, 0] = 9.0
    found = detection(walk, ONSET)
    assert found.seen == 1
    assert found.median_s is None


def test_a_sign_before_the_fall_has_the_time_to_it_as_lead() -> None:
    walk = walked(250, robots=5, falls=(ONSET + 20, ONSET + 9, ONSET + 60, ONSET - 1))
    walk.statistics[ONSET + 11, 0, 1] = 2.0  # falls at 2.1 s, seen at 1.1 s
    walk.statistics[ONSET + 1, 2, 1] = 2.0  # falls at 6.1 s, seen at 0.1 s
    walk.statistics[ONSET - 10, 3, 1] = 2.0  # was down already
    walk.level[ONSET + 30, 2] = 2
    found = detection(walk, ONSET)
    assert (found.robots, found.falls, found.seen, found.lost) == (4, 3, 2, 1)
    assert found.seen_before_fall == 2
    assert found.lead_s == pytest.approx((1.0 + 6.0) / 2)


def test_a_robot_that_falls_after_the_window_was_not_felled_in_it() -> None:
    walk = walked(400, robots=2, falls=(ONSET + 150, ONSET + 149))
    assert detection(walk, ONSET).falls == 1
