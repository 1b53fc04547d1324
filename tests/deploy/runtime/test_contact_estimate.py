"""Feet in contact, from joint torques: right where the simulator knows the answer."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from rwmu_deploy.contract.errors import RobotSpecError
from rwmu_deploy.contract.leg_model import load_leg_model
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.runtime.contact_estimate import ContactEstimate
from rwmu_deploy.runtime.foot_force import foot_force_n
from rwmu_deploy.simulation.robot_model import RobotModel
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot

SPEC = load_robot_spec("anymal_d")
LEGS = load_leg_model(SPEC)
UPRIGHT = np.array([0.0, 0.0, -1.0])


def test_the_leg_model_is_the_one_that_mujoco_reads() -> None:
    mj = RobotModel(SPEC).mj
    assert pytest.approx(float(mj.body_mass.sum())) == LEGS.total_mass_kg
    for link in LEGS.links:
        name = SPEC.joint_names[link.joint]
        joint = mj.joint(name)
        body = mj.body(int(joint.bodyid[0]))
        np.testing.assert_allclose(link.axis, joint.axis)
        np.testing.assert_allclose(link.origin_m, body.pos)
        assert link.mass_kg == pytest.approx(float(body.mass[0]))
        np.testing.assert_allclose(link.com_m, body.ipos)
        assert pytest.approx(float(joint.armature[0])) == LEGS.armature_kgm2[link.joint]
        assert pytest.approx(float(joint.damping[0])) == LEGS.damping_nms_per_rad[link.joint]


def test_a_known_push_on_each_foot_is_found() -> None:
    """MuJoCo's inverse dynamics of a hanging robot with a force on each foot."""
    model = RobotModel(SPEC)
    mj, data = model.mj, mujoco.MjData(model.mj)
    rng = np.random.default_rng(3)
    data.qpos[:7] = (0.0, 0.0, 5.0, 1.0, 0.0, 0.0, 0.0)
    data.qpos[model.joint_qpos] = SPEC.default_position_rad + rng.uniform(-0.3, 0.3, 12)
    mujoco.mj_forward(mj, data)
    pushed = rng.uniform(-100.0, 200.0, (4, 3))
    torque = data.qfrc_bias.copy()
    for name, force in zip(SPEC.foot_names, pushed, strict=True):
        site = mujoco.mj_name2id(mj, mujoco.mjtObj.mjOBJ_SITE, f"{name}_touch")
        jacobian = np.zeros((3, mj.nv))
        mujoco.mj_jacSite(mj, data, jacobian, None, site)
        torque -= jacobian.T @ force
    still = np.zeros(12)
    found = foot_force_n(
        LEGS,
        data.qpos[model.joint_qpos],
        still,
        still,
        torque[model.joint_qvel],
        UPRIGHT,
    )
    np.testing.assert_allclose(found, pushed, rtol=0.01, atol=1.0)


def test_inertia_is_mujocos() -> None:
    """Torque for an acceleration of the joints alone: M q'' of a fixed base."""
    model = RobotModel(SPEC)
    mj, data = model.mj, mujoco.MjData(model.mj)
    rng = np.random.default_rng(5)
    data.qpos[:7] = (0.0, 0.0, 5.0, 1.0, 0.0, 0.0, 0.0)
    position = SPEC.default_position_rad + rng.uniform(-0.3, 0.3, 12)
    data.qpos[model.joint_qpos] = position
    mujoco.mj_forward(mj, data)
    acceleration = rng.uniform(-100.0, 100.0, 12)
    generalised = np.zeros(mj.nv)
    generalised[model.joint_qvel] = acceleration
    torque = np.zeros(mj.nv)
    mujoco.mj_mulM(mj, data, torque, generalised)
    torque += data.qfrc_bias
    found = foot_force_n(
        LEGS, position, np.zeros(12), acceleration, torque[model.joint_qvel], UPRIGHT
    )
    np.testing.assert_allclose(found, 0.0, atol=0.5)


def test_a_standing_robot_stands_on_four_feet_with_its_weight() -> None:
    robot = SimulatedRobot(SPEC)
    estimate = ContactEstimate(SPEC)
    for tick in range(100):
        robot.advance(tick * 0.02)
        state = robot.latest_state()
        contact = estimate.step(
            tick * 0.02,
            state.joint_position_rad,
            state.joint_velocity_radps,
            state.joint_torque_nm,
            state.projected_gravity,
        )
    np.testing.assert_array_equal(contact, state.contact)
    still = np.zeros(12)
    force = foot_force_n(
        LEGS,
        state.joint_position_rad,
        still,
        still,
        state.joint_torque_nm,
        state.projected_gravity,
    )
    weight_n = 9.81 * robot.total_mass_kg
    assert -(force @ state.projected_gravity).sum() == pytest.approx(weight_n, rel=0.05)


def test_a_hanging_robot_touches_nothing() -> None:
    """Its drives hold the legs against their own weight, which is no contact."""
    model = RobotModel(SPEC)
    data = mujoco.MjData(model.mj)
    data.qpos[2] = 5.0
    data.qpos[3] = 1.0
    data.qpos[model.joint_qpos] = SPEC.default_position_rad
    mujoco.mj_forward(model.mj, data)
    estimate = ContactEstimate(SPEC)
    torque = data.qfrc_bias[model.joint_qvel]
    still = np.zeros(12)
    contact = estimate.step(0.0, SPEC.default_position_rad, still, torque, UPRIGHT)
    assert not contact.any()


def test_numbers_that_are_none_are_no_contact() -> None:
    estimate = ContactEstimate(SPEC)
    nothing = np.full(12, np.nan)
    assert not estimate.step(0.0, SPEC.default_position_rad, nothing, nothing, UPRIGHT).any()


def test_a_model_without_a_foot_is_refused() -> None:
    spec = replace(SPEC, foot_names=("LF_FOOT", "TAIL"))
    with pytest.raises(RobotSpecError, match="lacks TAIL"):
        load_leg_model(spec)
