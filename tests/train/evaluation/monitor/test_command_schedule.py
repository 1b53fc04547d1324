import numpy as np

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_train.evaluation.monitor.command_schedule import command_schedule

RANGE = CommandRange((-1.0, 0.0, 0.5), (1.0, 0.2, 0.5))


def test_commands_hold_for_two_to_eight_seconds_within_the_range() -> None:
    schedule = command_schedule(RANGE, 2000, 20, 0.02, seed=0)
    assert schedule.shape == (2000, 20, 3)
    assert (schedule >= RANGE.lower).all()
    assert (schedule <= RANGE.upper).all()
    held = [
        length
        for robot in range(20)
        for length in np.diff(np.flatnonzero(np.diff(schedule[:, robot, 0]) != 0.0))
    ]
    assert min(held) >= 100
    assert max(held) <= 400
    assert np.std(held) > 50.0


def test_equal_seeds_give_equal_commands_and_others_do_not() -> None:
    first, again, other = (command_schedule(RANGE, 50, 2, 0.02, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first[:, :, 0] != other[:, :, 0]).all()
