"""Which joint offsets move a foot where: a polynomial fitted to the robot's own kinematics."""

# mujoco's compiled modules carry no types.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.simulation.robot_model import RobotModel

FloatArray = NDArray[np.float64]

_REACH_RAD = 0.6
"""Joint offsets around the default pose that the fit covers."""
_SAMPLES = 2000
_POWERS = [(i, j, k) for i in range(4) for j in range(4 - i) for k in range(4 - i - j)]


@dataclass(frozen=True)
class LegInverse:
    """Joint offsets of one leg as a cubic polynomial of its foot's offset."""

    joints: NDArray[np.intp]
    """Indices of the leg's joints in RobotSpec order."""
    foot_in_base_m: FloatArray
    """Foot position in the default pose, base frame, shape (3,)."""
    coefficients: FloatArray
    """Shape (polynomial terms, joints of the leg)."""

    def joint_offset_rad(self, foot_offset_m: FloatArray) -> FloatArray:
        """Joint offsets, shape (n, leg joints), for foot offsets (n, 3) in the base frame."""
        return _monomials(foot_offset_m) @ self.coefficients

    @property
    def jacobian_m_per_rad(self) -> FloatArray:
        """Foot velocity over joint velocity in the default pose, shape (3, leg joints)."""
        linear = [_POWERS.index(power) for power in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
        return np.linalg.inv(self.coefficients[linear].T).astype(np.float64)


def fit_legs(spec: RobotSpec, seed: int = 0) -> list[LegInverse]:
    """Fit every foot of the robot, in the order of `foot_names`."""
    model = RobotModel(spec)
    data = mujoco.MjData(model.mj)
    rng = np.random.default_rng(seed)
    sites = [model.mj.site(f"{foot}_touch").id for foot in spec.foot_names]
    offsets = rng.uniform(-_REACH_RAD, _REACH_RAD, (_SAMPLES, spec.joint_count))
    offsets[0] = 0.0
    positions = np.empty((_SAMPLES, len(sites), 3))
    for sample, offset in enumerate(offsets):
        data.qpos[:] = 0.0
        data.qpos[3] = 1.0
        data.qpos[model.joint_qpos] = spec.default_position_rad + offset
        mujoco.mj_kinematics(model.mj, data)
        positions[sample] = data.site_xpos[sites]
    legs = []
    for foot in range(len(sites)):
        moved = positions[:, foot] - positions[0, foot]
        influence = np.abs(np.linalg.lstsq(offsets, moved, rcond=None)[0]).max(axis=1)
        joints = np.sort(np.argsort(influence)[-3:])
        fit = np.linalg.lstsq(_monomials(moved), offsets[:, joints], rcond=None)[0]
        legs.append(LegInverse(joints, positions[0, foot], fit.astype(np.float64)))
    return legs


def _monomials(x: FloatArray) -> FloatArray:
    return np.stack([x[:, 0] ** i * x[:, 1] ** j * x[:, 2] ** k for i, j, k in _POWERS], axis=1)
