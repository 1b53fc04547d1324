"""Training in the simulated robot ends episodes of robots that are low or tilted."""

import numpy as np
import torch

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.simulation.robot_batch import ResetRange, RobotBatch
from rwmu_train.environment.simulated_dynamics import SimulatedDynamics
from rwmu_train.reference.early_end import EarlyEnd, EarlyEndLimits

SPEC = load_robot_spec("anymal_d")
QUIET = ResetRange(base_velocity=0.0, joint_factor=(1.0, 1.0))
STAND = torch.zeros(1, SPEC.joint_count)
SETTLING_STEPS = 50


def settled(limits: EarlyEndLimits) -> bool:
    """Whether a robot that stands by its default pose (0.553 m) counts as fallen."""
    with RobotBatch(SPEC, 1, seed=0, reset_range=QUIET) as batch:
        robots = EarlyEnd(SimulatedDynamics(batch), limits)
        for _ in range(SETTLING_STEPS):
            outcome = robots.step(STAND)
    return bool(outcome.fell[0])


def test_a_standing_robot_goes_on() -> None:
    assert not settled(EarlyEndLimits())


def test_height_is_a_share_of_the_height_at_which_robots_are_put_down() -> None:
    assert not settled(EarlyEndLimits(height_share=0.55 / 0.6))
    assert settled(EarlyEndLimits(height_share=0.56 / 0.6))


def test_a_tilted_robot_ends_before_it_touches_the_ground() -> None:
    assert settled(EarlyEndLimits(tilt_rad=0.0))


def test_a_limit_that_is_not_a_number_ends_every_episode() -> None:
    assert settled(EarlyEndLimits(height_share=np.nan))
    assert settled(EarlyEndLimits(tilt_rad=np.nan))
