"""A LowState's numbers land on the joint of their name, or nowhere."""

import math
from dataclasses import replace

import numpy as np
import pytest
from g1_frames import SPEC, healthy_frame
from hypothesis import given, settings
from hypothesis import strategies as st

from rwmu_deploy.contract.errors import RobotLinkError, RobotSpecError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.robots.unitree.frames import sealed
from rwmu_deploy.robots.unitree.low_state import LowStateReader
from rwmu_deploy.robots.unitree.motor_order import MOTOR_NAMES

READER = LowStateReader(SPEC)


def test_documented_indices():
    for index, name in (
        *((0, "left_hip_pitch_joint"), (3, "left_knee_joint"), (6, "right_hip_pitch_joint")),
        *((11, "right_ankle_roll_joint"), (12, "waist_yaw_joint"), (14, "waist_pitch_joint")),
        *((15, "left_shoulder_pitch_joint"), (18, "left_elbow_joint")),
        *((22, "right_shoulder_pitch_joint"), (28, "right_wrist_yaw_joint")),
    ):
        assert MOTOR_NAMES[index] == name
    assert len(set(MOTOR_NAMES)) == 29


def test_a_frame_by_hand():
    frame = healthy_frame(tick=12_345)
    motor = frame["motor_state"][3]
    motor["q"], motor["dq"], motor["tau_est"], motor["temperature"] = 0.5, -2.0, 12.5, (61, 83)
    half = math.radians(30.0) / 2.0
    frame["imu_state"]["quaternion"] = (math.cos(half), 0.0, math.sin(half), 0.0)
    frame["imu_state"]["gyroscope"] = (0.25, -0.5, 1.0)
    state = READER.read(sealed(frame))
    knee = SPEC.joint_names.index("left_knee_joint")
    assert state.joint_position_rad[knee] == 0.5
    assert state.joint_velocity_radps[knee] == -2.0
    assert state.joint_torque_nm[knee] == 12.5
    assert state.casing_temperature_c[knee] == 61.0
    assert state.winding_temperature_c[knee] == 83.0
    # Pitched forward by 30 degrees, gravity has sin 30 along the pelvis' x.
    np.testing.assert_allclose(
        state.projected_gravity, (0.5, 0.0, -math.sqrt(0.75)), rtol=0.0, atol=1e-7
    )
    assert state.base_angular_velocity_radps.tolist() == [0.25, -0.5, 1.0]
    assert (state.tick_s, state.mode_pr, state.mode_machine) == (12.345, 0, 5)
    assert state.joint_position_rad.dtype == np.float64


@settings(max_examples=60, deadline=None)
@given(
    order=st.permutations(range(29)),
    values=st.lists(
        st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=29, max_size=29
    ),
)
def test_any_order_of_the_spec_gets_each_joint_its_own_value(order, values):
    spec = replace(SPEC, joints=tuple(SPEC.joints[index] for index in order))
    frame = healthy_frame()
    frame["motor_state"]["q"][:29] = values
    state = LowStateReader(spec).read(sealed(frame))
    by_name = dict(zip(spec.joint_names, state.joint_position_rad, strict=True))
    assert by_name == dict(zip(MOTOR_NAMES, values, strict=True))


@settings(max_examples=60, deadline=None)
@given(
    field=st.sampled_from(["q", "dq", "tau_est"]),
    index=st.integers(0, 28),
    value=st.sampled_from([math.nan, math.inf, -math.inf]),
)
def test_a_motor_state_that_is_no_number_is_refused_by_name(field, index, value):
    frame = healthy_frame()
    frame["motor_state"][field][index] = value
    with pytest.raises(RobotLinkError, match=f"{field} of {MOTOR_NAMES[index]} is"):
        READER.read(sealed(frame))


def test_motors_that_the_robot_has_not_may_say_what_they_like():
    frame = healthy_frame()
    frame["motor_state"]["q"][29:] = math.nan
    assert np.isfinite(READER.read(sealed(frame)).joint_position_rad).all()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gyroscope", (0.0, math.nan, 0.0)),
        ("accelerometer", (math.inf, 0.0, 0.0)),
        ("quaternion", (math.nan, 0.0, 0.0, 0.0)),
        ("quaternion", (0.0, 0.0, 0.0, 0.0)),
        ("quaternion", (0.5, 0.0, 0.0, 0.0)),
    ],
)
def test_an_imu_that_measures_nothing_is_refused(field, value):
    """Zeros too, which would read as upright."""
    frame = healthy_frame()
    frame["imu_state"][field] = value
    with pytest.raises(RobotLinkError, match=f"LowState's {field}"):
        READER.read(sealed(frame))


def test_an_altered_frame_is_refused():
    data = bytearray(sealed(healthy_frame()))
    data[100] ^= 1
    with pytest.raises(RobotLinkError, match="checksum"):
        READER.read(bytes(data))


def test_the_runtime_gets_all_that_it_asks_for():
    state = READER.read(sealed(healthy_frame())).robot_state(
        np.array([0.1, 0.2, 0.3]), np.zeros(26), 7.5
    )
    assert state.vector(SPEC).shape == (96,)
    assert state.base_linear_velocity_mps.tolist() == [0.1, 0.2, 0.3]
    assert state.received_s == 7.5


@pytest.mark.parametrize("velocity", [(0.0, math.nan, 0.0), (0.0, 0.0)])
def test_a_velocity_that_is_none_is_refused(velocity):
    with pytest.raises(RobotLinkError, match="velocity beside a LowState"):
        READER.read(sealed(healthy_frame())).robot_state(np.array(velocity), np.zeros(26), 0.0)


@pytest.mark.parametrize("robot", ["anymal_d", "23 joints", "a strange joint"])
def test_another_robot_is_refused_with_names(robot):
    if robot == "anymal_d":
        spec = load_robot_spec(robot)
    elif robot == "23 joints":
        spec = replace(SPEC, joints=SPEC.joints[:13] + SPEC.joints[15:20] + SPEC.joints[22:27])
    else:
        spec = replace(SPEC, joints=(*SPEC.joints[:28], replace(SPEC.joints[28], name="tail")))
    with pytest.raises(RobotSpecError, match=f"robot {spec.name} has {spec.joint_count} joints"):
        LowStateReader(spec)
