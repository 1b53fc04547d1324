"""Foot velocities follow from the robot's geometry."""

import numpy as np
import pytest

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.simulation.foot_kinematics import FootKinematics

SPEC = load_robot_spec("anymal_d")


@pytest.fixture(scope="module")
def kinematics() -> FootKinematics:
    return FootKinematics(SPEC)


def move(kinematics, *, linear=(0.0, 0.0, 0.0), angular=(0.0, 0.0, 0.0), joint=None, speed=0.0):
    position = np.zeros((1, 12))
    velocity = np.zeros((1, 12))
    if joint is not None:
        velocity[0, SPEC.joint_names.index(joint)] = speed
    feet = kinematics.foot_velocity_mps(
        np.array([linear]), np.array([angular]), position, velocity
    )
    return dict(zip(SPEC.foot_names, feet[0], strict=True))


def test_feet_of_stiff_legs_move_with_the_base(kinematics) -> None:
    for velocity in move(kinematics, linear=(0.5, -0.2, 0.1)).values():
        np.testing.assert_allclose(velocity, (0.5, -0.2, 0.1), atol=1e-12)


def test_turning_base_moves_feet_by_their_arm_from_the_centre_of_mass(kinematics) -> None:
    # Straight leg, from the MJCF: hip, thigh, shank and foot of the left front leg.
    x = 0.304 + 0.069 + 0.0 + 0.1
    y = 0.109 + 0.006 + 0.1805 + 0.0141088
    com_x, com_y, _ = SPEC.simulation.base_com_in_base_m
    velocity = move(kinematics, angular=(0.0, 0.0, 2.0))["LF_FOOT"]
    np.testing.assert_allclose(velocity, (-2.0 * (y - com_y), 2.0 * (x - com_x), 0.0), atol=1e-9)


def test_knee_swings_its_own_foot_about_its_axis(kinematics) -> None:
    feet = move(kinematics, joint="LF_KFE", speed=3.0)
    # About y: (x, z) of the foot from the knee is (0.1, -0.3620768).
    np.testing.assert_allclose(feet["LF_FOOT"], (3.0 * -0.3620768, 0.0, -3.0 * 0.1), atol=1e-9)
    for name in ("LH_FOOT", "RF_FOOT", "RH_FOOT"):
        np.testing.assert_allclose(feet[name], 0.0, atol=1e-12)
