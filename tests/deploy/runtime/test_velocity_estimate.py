"""How fast the base moves, from its legs: right where feet stand, and careful where they don't."""

from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest

from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.runtime.velocity_estimate import FLIGHT_S, VelocityEstimate
from rwmu_deploy.simulation.robot_model import RobotModel

DT_S = 0.02
VELOCITY_MPS = np.array([0.6, -0.2, 0.1])
"""Of the base's origin, base frame."""
OMEGA_RADPS = np.array([0.1, -0.2, 0.3])


class Walker:
    """A robot whose base moves so while all its feet stand: joint speeds by MuJoCo's Jacobians."""

    def __init__(self, name: str) -> None:
        self.spec: RobotSpec = load_robot_spec(name)
        rng = np.random.default_rng(2)
        spec, model = self.spec, RobotModel(self.spec)
        mj, data = model.mj, mujoco.MjData(model.mj)
        self.position_rad = spec.default_position_rad + rng.uniform(-0.2, 0.2, spec.joint_count)
        data.qpos[:7] = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0)
        data.qpos[model.joint_qpos] = self.position_rad
        mujoco.mj_forward(mj, data)
        feet = []
        for foot in spec.foot_names:
            site = mujoco.mj_name2id(mj, mujoco.mjtObj.mjOBJ_SITE, f"{foot}_touch")
            jacobian = np.zeros((3, mj.nv))
            mujoco.mj_jacSite(mj, data, jacobian, None, site)
            feet.append(jacobian)
        jacobians = np.concatenate(feet)
        base = jacobians[:, :3] @ VELOCITY_MPS + jacobians[:, 3:6] @ OMEGA_RADPS
        self.rate_radps = np.linalg.lstsq(jacobians[:, model.joint_qvel], -base, rcond=None)[0]
        self.contact = np.array([float(n in spec.foot_names) for n in spec.contact_names])
        com_m = np.array(spec.simulation.base_com_in_base_m)
        self.true_mps = VELOCITY_MPS + np.cross(OMEGA_RADPS, com_m)
        self.estimate = VelocityEstimate(spec)
        self.now_s = 0.0

    def step(self, **changes: np.ndarray) -> np.ndarray:
        self.now_s += DT_S
        inputs = {
            "joint_position_rad": self.position_rad,
            "joint_velocity_radps": self.rate_radps,
            "base_angular_velocity_radps": OMEGA_RADPS,
            "contact": self.contact,
        }
        return self.estimate.step(self.now_s, **(inputs | changes))

    def off(self, feet: int) -> np.ndarray:
        """Contacts with only so many feet on the ground."""
        names = self.spec.foot_names[:feet]
        return np.array([float(name in names) for name in self.spec.contact_names])


@pytest.fixture(params=["anymal_d", "g1"])
def walker(request: pytest.FixtureRequest) -> Walker:
    return Walker(request.param)


def test_standing_feet_tell_the_velocity_of_the_centre_of_mass(walker: Walker) -> None:
    for _ in range(20):
        found = walker.step()
    np.testing.assert_allclose(found, walker.true_mps, atol=0.01)


def test_one_foot_is_enough(walker: Walker) -> None:
    for _ in range(40):
        found = walker.step(contact=walker.off(1))
    np.testing.assert_allclose(found, walker.true_mps, atol=0.02)


def test_the_first_answer_is_near_already(walker: Walker) -> None:
    np.testing.assert_allclose(walker.step(), walker.true_mps, atol=0.1)


def test_a_foot_that_slips_does_not_carry_the_others_away() -> None:
    walker = Walker("anymal_d")
    for _ in range(20):
        walker.step()
    leg = [walker.spec.joint_names.index(f"LF_{name}") for name in ("HAA", "HFE", "KFE")]
    slipping = walker.rate_radps.copy()
    slipping[leg] += (0.0, 5.0, 5.0)
    for _ in range(10):
        found = walker.step(joint_velocity_radps=slipping)
    assert np.linalg.norm(found - walker.true_mps) < 0.15


def test_in_the_air_the_velocity_turns_with_the_base_and_fades(walker: Walker) -> None:
    for _ in range(20):
        before = walker.step()
    turn = np.array([0.0, 0.0, 1.0])
    steps = round(FLIGHT_S / DT_S)
    for _ in range(steps):
        after = walker.step(contact=walker.off(0), base_angular_velocity_radps=turn)
    com_m = np.array(walker.spec.simulation.base_com_in_base_m)
    begin = before - np.cross(OMEGA_RADPS, com_m)
    # Seen from a base that turns left, the velocity turns right.
    cos, sin = math.cos(FLIGHT_S), math.sin(FLIGHT_S)
    expected = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]]) @ begin / math.e
    np.testing.assert_allclose(after - np.cross(turn, com_m), expected, atol=0.01)


def test_a_robot_that_hangs_stands_still(walker: Walker) -> None:
    for _ in range(100):
        found = walker.step(
            contact=walker.off(0),
            joint_velocity_radps=np.full(walker.spec.joint_count, 3.0),
            base_angular_velocity_radps=np.zeros(3),
        )
    np.testing.assert_array_equal(found, np.zeros(3))


def test_the_same_measurement_again_changes_nothing(walker: Walker) -> None:
    first = walker.step()
    walker.now_s -= DT_S
    np.testing.assert_array_equal(walker.step(contact=walker.off(1)), first)


@pytest.mark.parametrize("jump_s", [0.2, -1.0, math.nan])
def test_after_a_pause_everything_begins_anew(walker: Walker, jump_s: float) -> None:
    for _ in range(20):
        walker.step()
    walker.now_s += jump_s
    fresh = VelocityEstimate(walker.spec)
    found = walker.step()
    walker.estimate, walker.now_s = fresh, 5.0
    np.testing.assert_array_equal(walker.step(), found)


def test_one_measurement_that_is_not_finite_does_not_stay(walker: Walker) -> None:
    rate = walker.rate_radps.copy()
    rate[0] = math.nan
    walker.step(joint_velocity_radps=rate)
    for _ in range(20):
        found = walker.step()
    np.testing.assert_allclose(found, walker.true_mps, atol=0.01)


def test_forgetting_begins_anew(walker: Walker) -> None:
    first = walker.step()
    walker.step(contact=walker.off(1))
    walker.estimate.forget()
    np.testing.assert_array_equal(walker.step(), first)


def test_many_robots_are_followed_as_one_alone_is() -> None:
    rng = np.random.default_rng(4)
    walker = Walker("anymal_d")
    together = VelocityEstimate(walker.spec)
    alone = [VelocityEstimate(walker.spec) for _ in range(3)]
    for tick in range(10):
        position = walker.position_rad + rng.normal(0.0, 0.01, (3, 12))
        rate = walker.rate_radps + rng.normal(0.0, 1.0, (3, 12))
        omega = rng.normal(0.0, 0.3, (3, 3))
        contact = walker.contact * rng.integers(0, 2, (3, 1))
        found = together.step(tick * DT_S, position, rate, omega, contact)
        for robot, each in enumerate(alone):
            inputs = (position[robot], rate[robot], omega[robot], contact[robot])
            np.testing.assert_allclose(each.step(tick * DT_S, *inputs), found[robot], atol=1e-12)
