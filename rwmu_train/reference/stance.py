"""The pose in which the ground carries a robot at rest."""

# mujoco's compiled modules carry no types.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import RobotSpecError
from rwmu_deploy.simulation.robot_model import RobotModel

FloatArray = NDArray[np.float64]
_GRAVITY_MPS2 = 9.81
_LOWERING_M = 1e-4
_STEP = 1e-6
_LARGEST_CHANGE = 2e-3
"""Of one step towards the standing pose [m, rad]: contacts are stiff."""
_STIFF = 1e-2
"""How readily the base turns on the way there, beside the joints."""
_LEVEL = 1000.0
"""What a foot's tilt of 1 rad counts beside 1 N."""
_MOST_STEPS = 400


@dataclass(frozen=True)
class Stance:
    """A pose at rest."""

    qpos: FloatArray
    """Of MuJoCo."""
    target_rad: FloatArray
    """What the drives must be told for it, shape (J,)."""
    has_flat_feet: bool


def find_stance(model: RobotModel) -> Stance:
    """The pose near the default one in which the ground carries the robot, by Newton's method.

    Of all small changes of height, tilt and joints the smallest that takes the force off the base
    and puts feet that are flat level.

    Raises:
        RobotSpecError: There is none.
    """
    mj, data, spec = model.mj, mujoco.MjData(model.mj), model.spec
    weight_n = _GRAVITY_MPS2 * model.total_mass_kg
    qpos = np.zeros(mj.nq)
    qpos[2], qpos[3] = spec.simulation.initial_height_m, 1.0
    qpos[model.joint_qpos] = spec.default_position_rad
    readiness = np.ones(mj.nv)
    # Where it is and which way it looks changes nothing.
    readiness[[0, 1, 5]], readiness[[3, 4]] = 0.0, _STIFF
    while _lacking(mj, data, [], qpos)[2] > 0.0 and qpos[2] > 0.0:
        qpos[2] -= _LOWERING_M
    feet = _flat_feet(model, data)
    for _ in range(_MOST_STEPS):
        lacking = _lacking(mj, data, feet, qpos)
        if not np.abs(lacking).max() > 1e-6 * weight_n:
            break
        slope = np.stack(
            [
                _lacking(mj, data, feet, _moved(mj, qpos, _STEP * axis))
                - _lacking(mj, data, feet, _moved(mj, qpos, -_STEP * axis))
                for axis in np.eye(mj.nv)
            ],
            axis=-1,
        ) / (2.0 * _STEP)
        reach = slope * readiness
        square = reach @ slope.T
        square += 1e-9 * np.trace(square) * np.eye(len(square))
        change = -reach.T @ np.linalg.solve(square, lacking)
        change *= min(1.0, _LARGEST_CHANGE / np.abs(change).max())
        for share in (1.0, 0.5, 0.25, 0.1, 0.02):
            nearer = _moved(mj, qpos, share * change)
            if np.linalg.norm(_lacking(mj, data, feet, nearer)) < np.linalg.norm(lacking):
                break
        qpos = nearer
    if not np.abs(_lacking(mj, data, feet, qpos)).max() <= 1e-3 * weight_n:
        raise RobotSpecError(
            f"{spec.name} does not stand near its default pose",
            fix="Give it a default pose near one in which it stands.",
        )
    needed_rad = data.qfrc_inverse[model.joint_qvel] / spec.kp_nm_per_rad
    return Stance(qpos, qpos[model.joint_qpos] + needed_rad, bool(feet))


def _flat_feet(model: RobotModel, data: mujoco.MjData) -> list[int]:
    """Bodies of the feet that touch the ground in more than one place."""
    mj = model.mj
    sites = [
        mujoco.mj_name2id(mj, mujoco.mjtObj.mjOBJ_SITE, f"{name}_touch")
        for name in model.spec.foot_names
    ]
    touching = [int(body) for each in data.contact for body in mj.geom_bodyid[each.geom]]
    feet = [int(mj.site_bodyid[site]) for site in sites]
    return [foot for foot in feet if touching.count(foot) > 1]


def _lacking(
    mj: mujoco.MjModel, data: mujoco.MjData, flat_feet: list[int], qpos: FloatArray
) -> FloatArray:
    """What is missing to rest there.

    Force [N] and torque [N m] that the base would need, shape (6,), and behind them how far each
    flat foot is from level, twice.
    """
    data.qpos[:], data.qvel[:] = qpos, 0.0
    mujoco.mj_forward(mj, data)
    data.qacc[:] = 0.0
    mujoco.mj_inverse(mj, data)
    tilts = [_LEVEL * data.xmat[foot].reshape(3, 3)[2, :2] for foot in flat_feet]
    return np.concatenate([data.qfrc_inverse[:6], *tilts])


def _moved(mj: mujoco.MjModel, qpos: FloatArray, change: FloatArray) -> FloatArray:
    moved = qpos.copy()
    mujoco.mj_integratePos(mj, moved, change, 1.0)
    return moved
