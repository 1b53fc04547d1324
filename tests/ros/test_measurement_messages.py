"""What the simulated robot publishes is read back as what it measured."""

from __future__ import annotations

import math

import numpy as np
from builtin_interfaces.msg import Time
from hypothesis import given, settings
from hypothesis import strategies as st
from rwmu_ros import message_conversion as conversion
from rwmu_ros.measurement_messages import MeasurementMessages, leg_major, tilt_quaternion_wxyz

from rwmu_deploy.contract.joint_map import JointMap
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.robot_state import RobotState, gravity_in_base

SPEC = load_robot_spec("anymal_d")
ORDER = leg_major(SPEC.joint_names)


def a_state() -> RobotState:
    rng = np.random.default_rng(3)
    gravity = np.array([0.1, -0.2, -1.0])
    return RobotState(
        base_linear_velocity_mps=rng.normal(size=3),
        base_angular_velocity_radps=rng.normal(size=3),
        projected_gravity=gravity / np.linalg.norm(gravity),
        joint_position_rad=rng.normal(size=12),
        joint_velocity_radps=rng.normal(size=12),
        joint_torque_nm=rng.normal(size=12),
        contact=np.array([0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0]),
        received_s=0.0,
    )


def test_published_order_is_leg_by_leg_and_not_the_policys() -> None:
    assert ORDER[:4] == ["LF_HAA", "LF_HFE", "LF_KFE", "LH_HAA"]
    assert sorted(ORDER) == sorted(SPEC.joint_names)
    assert list(SPEC.joint_names) != ORDER


def test_measurements_survive_publishing_and_reading() -> None:
    state, messages, stamp = a_state(), MeasurementMessages(SPEC, ORDER, "base"), Time(sec=5)
    joint_message = messages.joint_states(state, stamp)
    assert joint_message.name == ORDER
    assert conversion.stamp_ns(joint_message) == 5_000_000_000
    joint_map = JointMap(joint_message.name, SPEC.joint_names, source="test")
    joints = conversion.joint_reading(joint_message, joint_map)
    imu = conversion.imu_reading(messages.imu(state, stamp), "base")
    odometry = messages.odometry(state, np.array([1.0, 2.0, 3.0]), stamp)
    velocity = conversion.velocity_at_com(
        SPEC, conversion.base_origin_velocity(odometry, "base"), imu.angular_velocity_radps
    )
    contact = conversion.contact_reading(messages.contacts(state), SPEC.contact_names)
    assert joints.position_rad.tolist() == state.joint_position_rad.tolist()
    assert joints.velocity_radps.tolist() == state.joint_velocity_radps.tolist()
    assert joints.torque_nm.tolist() == state.joint_torque_nm.tolist()
    assert contact.tolist() == state.contact.tolist()
    np.testing.assert_allclose(imu.projected_gravity, state.projected_gravity, atol=1e-12)
    np.testing.assert_allclose(velocity, state.base_linear_velocity_mps, atol=1e-12)
    assert imu.angular_velocity_radps.tolist() == state.base_angular_velocity_radps.tolist()


def test_upright_robot_has_the_unit_quaternion() -> None:
    assert tilt_quaternion_wxyz(np.array([0.0, 0.0, -1.0])) == (1.0, 0.0, 0.0, 0.0)


@given(tilt=st.floats(0.0, math.pi), heading=st.floats(-math.pi, math.pi))
@settings(deadline=None)
def test_tilt_quaternion_gives_back_its_gravity(tilt: float, heading: float) -> None:
    gravity = np.array(
        [math.sin(tilt) * math.cos(heading), math.sin(tilt) * math.sin(heading), -math.cos(tilt)]
    )
    quaternion = np.array(tilt_quaternion_wxyz(gravity))
    np.testing.assert_allclose(gravity_in_base(quaternion), gravity, atol=1e-6)
