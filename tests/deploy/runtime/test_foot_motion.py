"""Feet's height and speed from joints: as the simulator knows them."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import RobotSpecError
from rwmu_deploy.contract.leg_model import load_leg_model
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.contract.robot_state import RobotState
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.runtime.foot_force import foot_force_n
from rwmu_deploy.runtime.foot_motion import FootMotion
from rwmu_deploy.runtime.leg_kinematics import link_frames
from rwmu_deploy.simulation.robot_model import RobotModel
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot

HUMANOID = load_robot_spec("g1")
COLUMNS = TransitionColumns.of(HUMANOID)
LEGS = load_leg_model(HUMANOID)


@pytest.fixture
def hanging() -> tuple[RobotModel, mujoco.MjData]:
    """The humanoid with its base level, at the origin, and its joints anywhere."""
    model = RobotModel(HUMANOID)
    data = mujoco.MjData(model.mj)
    data.qpos[:7] = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    data.qpos[model.joint_qpos] = np.random.default_rng(1).uniform(-0.5, 0.5, 29)
    model.mj.geom_conaffinity[:] = 0
    mujoco.mj_forward(model.mj, data)
    return model, data


def test_only_the_legs_of_a_humanoid_are_followed() -> None:
    assert [HUMANOID.joint_names[link.joint] for link in LEGS.links] == list(
        HUMANOID.joint_names[:12]
    )
    assert LEGS.foot_link == (5, 11)
    assert pytest.approx(33.341142) == LEGS.total_mass_kg


def test_links_that_are_turned_against_one_another_lie_where_mujoco_has_them(hanging) -> None:
    model, data = hanging
    frames = link_frames(LEGS, data.qpos[model.joint_qpos])
    for link, turn, place in zip(LEGS.links, frames.turn, frames.place_m, strict=True):
        body = data.body(int(model.mj.joint(HUMANOID.joint_names[link.joint]).bodyid[0]))
        np.testing.assert_allclose(place, body.xpos, atol=1e-8)
        np.testing.assert_allclose(turn, body.xmat.reshape(3, 3), atol=1e-8)


def test_a_known_push_on_each_foot_is_found(hanging) -> None:
    model, data = hanging
    mj = model.mj
    pushed = np.array([[20.0, -10.0, 150.0], [-5.0, 30.0, 90.0]])
    torque = data.qfrc_bias.copy()
    for name, force in zip(HUMANOID.foot_names, pushed, strict=True):
        jacobian = np.zeros((3, mj.nv))
        mujoco.mj_jacSite(mj, data, jacobian, None, mj.site(f"{name}_touch").id)
        torque -= jacobian.T @ force
    still = np.zeros(29)
    found = foot_force_n(
        LEGS,
        data.qpos[model.joint_qpos],
        still,
        still,
        torque[model.joint_qvel],
        np.array([0.0, 0.0, -1.0]),
    )
    # Nearly stretched legs say little along themselves.
    np.testing.assert_allclose(found, pushed, atol=4.0)


def row_of(spec: RobotSpec, state: RobotState) -> NDArray[np.float64]:
    """A CSV row of a measurement whose extension nobody measured."""
    columns = TransitionColumns.of(spec)
    row = np.zeros(columns.count)
    row[columns.state] = state.vector(spec)
    row[columns.extension.slice] = np.nan
    return row


def test_while_a_foot_stands_heights_and_speeds_are_the_true_ones() -> None:
    on_its_feet = replace(HUMANOID, simulation=replace(HUMANOID.simulation, hoist_s=0.0))
    robot, feet = SimulatedRobot(on_its_feet), FootMotion(HUMANOID)
    for step in range(1, 48):
        robot.advance(0.02 * step)
        state = robot.latest_state()
        row = row_of(HUMANOID, state)
        feet.fill(row)
        seen = row[COLUMNS.extension.slice]
        # True values are one physics step old, which tells while the soles settle.
        np.testing.assert_allclose(seen, state.extension, atol=0.02 if step > 4 else 0.2)


def test_many_rows_at_once_are_each_row_alone() -> None:
    feet, rng = FootMotion(HUMANOID), np.random.default_rng(2)
    many = [rng.normal(size=(5, size)) for size in (3, 3, 3, 29, 29)]
    many[2] /= np.linalg.norm(many[2], axis=1, keepdims=True)
    together = feet.from_joints(*many)
    for row in range(5):
        alone = feet.from_joints(*(values[row] for values in many))
        np.testing.assert_allclose(together[row], alone, atol=1e-12)
    assert (together[:, :2].min(axis=1) == 0.0).all()


def test_what_was_measured_is_not_estimated() -> None:
    row = row_of(HUMANOID, SimulatedRobot(HUMANOID).latest_state())
    row[COLUMNS.extension.slice] = (0.1, np.nan, 0.3, 0.4)
    FootMotion(HUMANOID).fill(row)
    extension = row[COLUMNS.extension.slice]
    np.testing.assert_array_equal(extension[[0, 2, 3]], (0.1, 0.3, 0.4))
    assert np.isfinite(extension).all()


def test_a_robot_without_extension_has_none() -> None:
    spec = load_robot_spec("anymal_d")
    row = row_of(spec, SimulatedRobot(spec).latest_state())
    before = row.copy()
    FootMotion(spec).fill(row)
    np.testing.assert_array_equal(row, before)


def test_columns_that_no_foot_has_are_refused() -> None:
    odd = replace(HUMANOID, extension_names=("temperature",))
    with pytest.raises(RobotSpecError, match="temperature"):
        FootMotion(odd)
