"""Training episodes end where robots are low, tilted or on their knees; NaN ends them too."""

import math

import pytest
import torch

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.environment.chosen_robots import ChosenRobots
from rwmu_train.environment.dynamics import DynamicsOutcome
from rwmu_train.environment.early_end import EarlyEnd, EarlyEndLimits

SPEC = load_robot_spec("anymal_d")
LIMITS = EarlyEndLimits(height_share=0.5, tilt_rad=math.radians(60.0))
"""Lowest height 0.3 m; gravity z may be -0.5 at most."""


class OneRobot:
    """A robot in a given attitude, touching what it is told to touch."""

    device = "cpu"
    count = 1

    def __init__(self, gravity_z: float = -1.0, touches: str = "LF_FOOT") -> None:
        self.state = torch.zeros(1, 45)
        self.state[0, 8] = gravity_z
        self.contact = torch.tensor([[float(name == touches) for name in SPEC.contact_names]])
        self.fell = torch.tensor([False])

    def reset(self, who: ChosenRobots) -> tuple[torch.Tensor, torch.Tensor]:
        return who.of(self.state), torch.zeros(who.count, 12)

    def push(self, who: ChosenRobots, velocity_mps: torch.Tensor) -> torch.Tensor:
        return who.of(self.state)

    def step(self, action: torch.Tensor) -> DynamicsOutcome:
        return DynamicsOutcome(
            self.state, self.contact, self.fell, torch.zeros(1), torch.zeros(1, 0)
        )


def ends(robot: OneRobot, limits: EarlyEndLimits = LIMITS, height_m: float | None = None) -> bool:
    known = None if height_m is None else lambda: torch.tensor([height_m])
    return bool(EarlyEnd(robot, SPEC, limits, known).step(torch.zeros(1, 12)).fell[0])


@pytest.mark.parametrize(
    ("gravity_z", "expected"), [(-1.0, False), (-0.51, False), (-0.49, True), (math.nan, True)]
)
def test_tilt(gravity_z: float, expected: bool) -> None:
    assert ends(OneRobot(gravity_z)) is expected


@pytest.mark.parametrize(
    ("height_m", "expected"),
    [(None, False), (0.31, False), (0.29, True), (math.nan, True)],
)
def test_height_is_a_share_of_the_height_at_which_robots_are_put_down(height_m, expected) -> None:
    assert ends(OneRobot(), height_m=height_m) is expected


def test_undesired_contact_counts_where_it_is_asked_to() -> None:
    strict = EarlyEndLimits(undesired_contact=True)
    assert not ends(OneRobot(touches="RH_THIGH"))
    assert ends(OneRobot(touches="RH_THIGH"), strict)
    assert not ends(OneRobot(touches="RH_FOOT"), strict)


def test_a_real_fall_stays_one() -> None:
    robot = OneRobot()
    robot.fell = torch.tensor([True])
    assert ends(robot)


@pytest.mark.parametrize("field", ["height_share", "tilt_rad"])
def test_a_limit_that_is_not_a_number_ends_every_episode(field: str) -> None:
    assert ends(OneRobot(), EarlyEndLimits(**{field: math.nan}), height_m=0.55)
