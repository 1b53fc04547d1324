"""Change a compiled MuJoCo model into that of a variant, and of one of its robots.

J = joints.
"""

# mujoco's compiled modules carry no types.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import copy

import mujoco
import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.simulation.robot_variant import RobotVariant

FloatArray = NDArray[np.float64]
_SLIDING = 0


def vary_model(
    mj: mujoco.MjModel,
    variant: RobotVariant,
    joint_dof: NDArray[np.intp],
    payload_site: int | None,
) -> None:
    """Change payload, joint damping and armature of a model in place.

    Args:
        mj: The model.
        variant: What to change.
        joint_dof: Degrees of freedom of the actuated joints.
        payload_site: Where the payload is fixed; None where the variant has none.
    """
    mj.dof_damping[joint_dof] *= variant.joint_damping_factor
    mj.dof_armature[joint_dof] *= variant.armature_factor
    if payload_site is not None:
        _add_payload(mj, payload_site, variant)
    # Constants that MuJoCo derives from masses: without this, contacts of another stiffness.
    mujoco.mj_setConst(mj, mujoco.MjData(mj))


def model_of_robot(
    mj: mujoco.MjModel,
    actuator: NDArray[np.intp],
    friction: float | None,
    strength: FloatArray,
) -> mujoco.MjModel:
    """The model of one robot among those that a variant drew: the given one, or a changed copy.

    Args:
        mj: The variant's model.
        actuator: Those of the joints, shape (J,).
        friction: Sliding friction of every contact; None: the model's.
        strength: Factor on gains and largest torque of the actuators, shape (J,).
    """
    if friction is None and (strength == 1.0).all():
        return mj
    changed = copy.copy(mj)
    if friction is not None:
        # All geoms: a contact has the friction of one of its two, or the larger one.
        changed.geom_friction[:, _SLIDING] = friction
    for numbers in (
        changed.actuator_gainprm,
        changed.actuator_biasprm,
        changed.actuator_forcerange,
    ):
        numbers[actuator] *= strength[:, None]
    return changed


def _add_payload(mj: mujoco.MjModel, site: int, variant: RobotVariant) -> None:
    body = int(mj.site_bodyid[site])
    up = _rotation(mj.site_quat[site])[:, 2]
    mass = np.array([mj.body_mass[body], variant.payload_mass_kg])
    middle = mj.site_pos[site] + 0.5 * variant.payload_edge_m * up
    centre = np.stack([mj.body_ipos[body], middle])
    axes = _rotation(mj.body_iquat[body])
    cube = np.eye(3) * variant.payload_mass_kg * variant.payload_edge_m**2 / 6.0
    own = np.stack([axes @ np.diag(mj.body_inertia[body]) @ axes.T, cube])
    common = mass @ centre / mass.sum()
    offset = centre - common
    # Parallel axes: inertia of each part about the common centre of mass.
    squared = (offset**2).sum(axis=1)[:, None, None] * np.eye(3)
    moved = own + mass[:, None, None] * (squared - offset[:, :, None] * offset[:, None, :])
    principal, directions = np.linalg.eigh(moved.sum(axis=0))
    directions[:, 0] *= np.sign(np.linalg.det(directions))
    mj.body_mass[body], mj.body_ipos[body] = mass.sum(), common
    mj.body_inertia[body] = principal
    mujoco.mju_mat2Quat(mj.body_iquat[body], directions.flatten())


def _rotation(quaternion_wxyz: FloatArray) -> FloatArray:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quaternion_wxyz)
    return matrix.reshape(3, 3)
