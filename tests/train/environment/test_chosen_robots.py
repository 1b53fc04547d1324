"""Robots told by their numbers and robots told by a mask are the same robots."""

import pytest
import torch

from rwmu_train.environment.chosen_robots import ListedRobots, MaskedRobots

MASK = torch.tensor([False, True, False, True])
BOTH = pytest.mark.parametrize("kind", [ListedRobots, MaskedRobots])


@BOTH
def test_only_theirs_is_overwritten(kind) -> None:
    who, target = kind.where(MASK), torch.zeros(4, 2)
    new = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    who.write(target, who.of(new))
    assert target.tolist() == [[0.0, 0.0], [3.0, 4.0], [0.0, 0.0], [7.0, 8.0]]


@BOTH
def test_a_number_is_written_as_it_is(kind) -> None:
    ages = torch.tensor([3, 4, 5, 6])
    kind.where(MASK).write(ages, 0)
    assert ages.tolist() == [3, 0, 5, 0]


@BOTH
def test_robots_may_be_in_another_dimension(kind) -> None:
    who, target = kind.where(MASK), torch.zeros(2, 4, 3)
    who.write(target, torch.ones(2, who.count, 3), dim=1)
    assert target[:, MASK].eq(1.0).all()
    assert target[:, ~MASK].eq(0.0).all()


@BOTH
def test_their_mean_is_theirs_alone(kind) -> None:
    who = kind.where(MASK)
    assert who.mean(who.of(torch.tensor([100.0, 1.0, torch.nan, 4.0]))) == 2.5


def test_nobody_is_zero_in_a_list_and_has_no_mean_in_a_mask() -> None:
    nobody = torch.zeros(4, dtype=torch.bool)
    assert ListedRobots.where(nobody).count == 0
    assert MaskedRobots.where(nobody).mean(torch.ones(4)).isnan()
