"""A command reaches the motor of its joint's name, whole and finite, or not at all."""

import math
from dataclasses import replace

import numpy as np
import pytest
from g1_frames import SPEC
from hypothesis import given, settings
from hypothesis import strategies as st

from rwmu_deploy.contract.errors import RobotLinkError, RobotSpecError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.robot_state import JointCommand, damping_command, position_command
from rwmu_deploy.robots.unitree.frames import LOW_COMMAND, opened
from rwmu_deploy.robots.unitree.low_command import LowCommandWriter
from rwmu_deploy.robots.unitree.motor_order import MOTOR_NAMES

WRITER = LowCommandWriter(SPEC)
BAD = [math.nan, math.inf, -math.inf, 1e300]


def motors_of(data):
    return opened(data, LOW_COMMAND, "LowCmd")["motor_cmd"]


def test_a_command_by_hand():
    data = WRITER.frame(position_command(SPEC, SPEC.default_position_rad), 5)
    frame = opened(data, LOW_COMMAND, "LowCmd")
    assert (frame["mode_pr"], frame["mode_machine"]) == (0, 5)
    motors = frame["motor_cmd"]
    assert motors["mode"].tolist() == [1] * 29 + [0] * 6
    assert motors["q"][3] == np.float32(0.669)  # left knee
    assert motors["kp"][3] == np.float32(99.0984278)
    assert motors["kd"][21] == np.float32(1.0681415)  # left wrist yaw
    for name in ("q", "kp", "kd"):
        assert not motors[name][29:].any()
    for name in ("dq", "tau", "reserve"):
        assert not motors[name].any()
    assert not frame["reserve"].any()


def test_damping_goes_out_whatever_its_positions_are():
    data = WRITER.frame(damping_command(SPEC, np.full(29, math.nan)), 5)
    motors = motors_of(data)
    assert not motors["q"].any()
    assert not motors["kp"].any()
    assert (motors["kd"][:29] == 3.0).all()
    assert motors["mode"].tolist() == [1] * 29 + [0] * 6


@settings(max_examples=60, deadline=None)
@given(
    order=st.permutations(range(29)),
    values=st.lists(
        st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=29, max_size=29
    ),
)
def test_any_order_of_the_spec_gets_each_motor_its_own_value(order, values):
    spec = replace(SPEC, joints=tuple(SPEC.joints[index] for index in order))
    motors = motors_of(LowCommandWriter(spec).frame(position_command(spec, np.array(values)), 5))
    by_name = dict(zip(MOTOR_NAMES, motors["q"][:29].tolist(), strict=True))
    assert by_name == dict(zip(spec.joint_names, values, strict=True))


@settings(max_examples=100, deadline=None)
@given(
    field=st.sampled_from(["position_rad", "kp_nm_per_rad", "kd_nms_per_rad"]),
    index=st.integers(0, 28),
    value=st.sampled_from(BAD),
)
def test_what_is_no_number_is_refused_by_name(field, index, value):
    command = position_command(SPEC, SPEC.default_position_rad)
    values = getattr(command, field).copy()
    values[index] = value
    with pytest.raises(RobotLinkError, match=f"of {SPEC.joint_names[index]} is"):
        WRITER.frame(replace(command, **{field: values}), 5)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.floats(), min_size=87, max_size=87), machine=st.integers(0, 255))
def test_no_frame_ever_carries_what_is_no_number(values, machine):
    command = JointCommand(*np.array(values).reshape(3, 29))
    try:
        motors = motors_of(WRITER.frame(command, machine))
    except RobotLinkError:
        return
    for name in ("q", "dq", "tau", "kp", "kd"):
        assert np.isfinite(motors[name]).all()


@pytest.mark.parametrize("field", ["kp_nm_per_rad", "kd_nms_per_rad"])
def test_a_gain_below_zero_is_refused(field):
    command = position_command(SPEC, SPEC.default_position_rad)
    with pytest.raises(RobotLinkError, match="allowed is a finite number from 0"):
        WRITER.frame(replace(command, **{field: np.full(29, -1.0)}), 5)


@pytest.mark.parametrize("size", [0, 12, 23, 28, 30, 35])
def test_another_length_is_refused(size):
    command = position_command(SPEC, np.zeros(size))
    with pytest.raises(RobotLinkError, match=rf"shape \({size},\); allowed is \(29,\)"):
        WRITER.frame(command, 5)


@pytest.mark.parametrize("machine", [-1, 256, 5.0, None, math.nan])
def test_a_mode_machine_that_fits_no_byte_is_refused(machine):
    with pytest.raises(RobotLinkError, match="mode_machine is"):
        WRITER.frame(damping_command(SPEC, np.zeros(29)), machine)


def test_another_robot_is_refused():
    with pytest.raises(RobotSpecError, match="robot anymal_d has 12 joints"):
        LowCommandWriter(load_robot_spec("anymal_d"))
