"""A robot that imagination has lost ends its episode, is counted, and leaves no NaN behind."""

import math

import pytest
import torch

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.environment.chosen_robots import ChosenRobots
from rwmu_train.environment.dynamics import DynamicsOutcome
from rwmu_train.imagination.range_guard import RangeGuard

COLUMNS = TransitionColumns.of(load_robot_spec("anymal_d"))
LOWEST, HIGHEST = torch.full((45,), -2.0), torch.full((45,), 3.0)


class Robots:
    """N robots in given states."""

    device = "cpu"

    def __init__(self, state: torch.Tensor) -> None:
        self.count, self.state = len(state), state
        self.uncertainty = torch.ones(len(state))

    def reset(self, who: ChosenRobots) -> tuple[torch.Tensor, torch.Tensor]:
        return who.of(self.state), torch.zeros(who.count, 12)

    def push(self, who: ChosenRobots, velocity_mps: torch.Tensor) -> torch.Tensor:
        return who.of(self.state)

    def step(self, action: torch.Tensor) -> DynamicsOutcome:
        n = self.count
        fell = torch.zeros(n, dtype=torch.bool)
        contact, extension = torch.zeros(n, 8), torch.zeros(n, 0)
        return DynamicsOutcome(self.state, contact, fell, self.uncertainty, extension)


def outcome(robots: Robots, lowest=LOWEST, highest=HIGHEST) -> tuple[DynamicsOutcome, float]:
    guard = RangeGuard(robots, COLUMNS, lowest, highest)
    return guard.step(torch.zeros(robots.count, 12)), guard.take_share()


def test_two_entries_at_the_edges_of_the_range_lose_a_robot_and_one_does_not() -> None:
    state = torch.zeros(4, 45)
    state[1, 0] = -2.0
    state[2, 0], state[2, 7] = -2.0, 3.0
    state[3, 0], state[3, 7] = -1.99, 2.99
    found, share = outcome(Robots(state))
    assert found.fell.tolist() == [False, False, True, False]
    assert share == 0.25


def test_torques_at_their_limits_and_entries_that_never_change_do_not_count() -> None:
    state = torch.zeros(1, 45)
    state[:, COLUMNS.joint_torque_nm.slice] = 3.0
    lowest, highest = LOWEST.clone(), HIGHEST.clone()
    lowest[:6], highest[:6] = 0.0, 0.0
    found, share = outcome(Robots(state), lowest, highest)
    assert (found.fell.tolist(), share) == ([False], 0.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_lose_a_robot_and_go_no_further(value: float) -> None:
    state = torch.zeros(3, 45)
    state[0, COLUMNS.joint_torque_nm.slice.start] = value
    robots = Robots(state)
    robots.uncertainty[1] = value
    found, share = outcome(robots)
    assert found.fell.tolist() == [True, True, False]
    assert share == pytest.approx(2 / 3)
    assert found.state.isfinite().all()
    assert found.uncertainty.tolist() == [0.0, 0.0, 1.0]


def test_the_share_counts_from_the_last_time_that_it_was_taken() -> None:
    robots = Robots(torch.full((2, 45), 3.0))
    guard = RangeGuard(robots, COLUMNS, LOWEST, HIGHEST)
    assert guard.take_share() == 0.0
    guard.step(torch.zeros(2, 12))
    robots.state = torch.zeros(2, 45)
    guard.step(torch.zeros(2, 12))
    assert guard.take_share() == 0.5
    guard.step(torch.zeros(2, 12))
    assert guard.take_share() == 0.0
