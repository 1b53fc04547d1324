"""Which hardware stands behind the messages must fit the bundle's robot."""

from dataclasses import replace

import pytest
from g1_frames import SPEC

from rwmu_deploy.contract.errors import RobotLinkError, RobotSpecError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.robots.unitree.hardware import HARDWARE, named, refuse_other_hardware

FULL = [number for number, hardware in HARDWARE.items() if hardware.joints in (29, None)]


@pytest.mark.parametrize("number", FULL)
def test_29_joints_fit_hardware_that_has_them(number):
    refuse_other_hardware(SPEC, number)


@pytest.mark.parametrize("number", sorted(set(HARDWARE) - set(FULL)))
def test_29_joints_do_not_fit_fewer(number):
    joints = HARDWARE[number].joints
    with pytest.raises(RobotSpecError, match=rf"has 29 joints, hardware {number} .* has {joints}"):
        refuse_other_hardware(SPEC, number)


def test_fewer_joints_are_refused_with_the_names_of_those_that_miss():
    with pytest.raises(RobotSpecError, match="right_shoulder_roll_joint"):
        refuse_other_hardware(replace(SPEC, joints=SPEC.joints[:23]), 5)


def test_a_quadruped_is_refused():
    with pytest.raises(RobotSpecError, match="has 12 joints"):
        refuse_other_hardware(load_robot_spec("anymal_d"), 5)


def test_unknown_hardware_is_refused_with_all_that_is_known():
    with pytest.raises(RobotLinkError, match=r"mode_machine 99 \(?.*known are 0 \(a simulator"):
        refuse_other_hardware(SPEC, 99)
    assert named(99) == "99 (unknown hardware)"
