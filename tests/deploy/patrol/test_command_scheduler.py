"""Commands fill their range evenly, whatever the fence refuses."""

import math

import numpy as np
import pytest

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.patrol.command_scheduler import CommandScheduler, SchedulePlan

RANGE = CommandRange((-1.0, -0.5, -1.0), (1.0, 0.5, 1.0))


def scheduler(seed=0, **plan) -> CommandScheduler:
    return CommandScheduler(RANGE, SchedulePlan(**plan), seed)


def test_time_is_counted_where_the_command_lies():
    one = scheduler(bins=(2, 1, 2))
    one.note(np.array([0.5, 0.0, -0.5]), 2.0)
    one.note(np.array([1.0, 0.5, 1.0]), 1.0)  # the upper edge belongs to the last bin
    one.note(np.array([-1.0, -0.5, -1.0]), 1.0)
    np.testing.assert_array_equal(one.followed_s[:, 0, :], [[1.0, 0.0], [2.0, 1.0]])


def test_coverage_of_one_bin_is_0_and_of_all_alike_is_1():
    one = scheduler(bins=(2, 1, 2))
    assert one.coverage() == 0.0
    one.note(np.array([0.5, 0.0, 0.5]), 7.0)
    assert one.coverage() == 0.0
    one.note(np.array([-0.5, 0.0, 0.5]), 7.0)
    assert one.coverage() == pytest.approx(0.5)
    one.followed_s[:] = 3.0
    assert one.coverage() == pytest.approx(1.0)


def test_what_was_followed_least_is_proposed_first():
    one = scheduler(bins=(2, 1, 1), standing_share=0.0)
    one.note(np.array([0.5, 0.0, 0.0]), 1.0)
    proposals = one.proposals(4)
    assert (proposals[[0, 2], 0] < 0.0).all()
    assert (proposals[[1, 3], 0] > 0.0).all()


def test_proposals_lie_in_the_range_and_repeat_with_the_seed():
    proposals = scheduler(seed=4).proposals(1000)
    assert (proposals >= RANGE.lower).all()
    assert (proposals <= RANGE.upper).all()
    np.testing.assert_array_equal(proposals, scheduler(seed=4).proposals(1000))
    assert not np.array_equal(proposals, scheduler(seed=5).proposals(1000))


def test_standing_comes_with_its_share():
    one = scheduler(standing_share=0.2)
    stands = [not one.proposals(1)[0].any() for _ in range(2000)]
    assert np.mean(stands) == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("refused", [lambda c: abs(c[0]) > 0.6, lambda c: c[0] * c[2] > 0.3])
def test_time_is_more_even_than_that_of_plain_draws_where_much_is_refused(refused):
    """Half of the time what leads out is refused; plain draws then lack it, ours catches up."""
    rng = np.random.default_rng(2)
    ours, plain = scheduler(standing_share=0.0), scheduler()
    for _ in range(3000):
        is_near = rng.random() < 0.7

        def pick(candidates, is_near=is_near):
            return next(c for c in candidates if not (is_near and refused(c)))

        hold_s = ours.hold_s()
        ours.note(pick(ours.proposals(400)), hold_s)
        plain.note(pick(rng.uniform(RANGE.lower, RANGE.upper, (400, 3))), hold_s)
    assert ours.coverage() > 0.99
    assert ours.coverage() > plain.coverage() + 0.005


@pytest.mark.parametrize(
    "wrong",
    [
        {"bins": (0, 3, 5)},
        {"hold_s": (5.0, 1.0)},
        {"hold_s": (math.nan, 1.0)},
        {"standing_share": 1.1},
        {"standing_share": math.nan},
    ],
)
def test_plan_that_is_none_is_refused(wrong):
    with pytest.raises(ConfigError, match=f"schedule {next(iter(wrong))} is"):
        SchedulePlan(**wrong)
