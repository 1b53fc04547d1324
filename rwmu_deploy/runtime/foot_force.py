"""Force of the ground on each foot, from joint torques: what the legs hold beyond themselves.

Of the legs' equation of motion, as if the base did not accelerate and joint speeds made no forces:
(M + armature) q'' + damping * q' + gravity = torque + J^T force.

N = rows, J = joints, F = feet; the leading N may be missing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.leg_model import LegModel
from rwmu_deploy.runtime.leg_kinematics import cross, foot_jacobian, link_chain, link_frames

FloatArray = NDArray[np.float64]
_GRAVITY_MPS2 = 9.81
_DAMPED = 1e-4
"""Of the inverse of J J^T [m^2]: a stretched leg says little across itself."""


def foot_force_n(
    legs: LegModel,
    joint_position_rad: FloatArray,
    joint_velocity_radps: FloatArray,
    joint_acceleration_radps2: FloatArray,
    joint_torque_nm: FloatArray,
    projected_gravity: FloatArray,
) -> FloatArray:
    """Force on the feet, base frame, shape (N, F, 3).

    Args:
        legs: The robot's.
        joint_position_rad: Shape (N, J).
        joint_velocity_radps: Shape (N, J).
        joint_acceleration_radps2: Shape (N, J).
        joint_torque_nm: Of the drives, shape (N, J).
        projected_gravity: Unit vector, base frame, shape (N, 3).
    """
    turn, place = link_frames(legs, joint_position_rad)
    needed = (
        legs.armature_kgm2 * joint_acceleration_radps2
        + legs.damping_nms_per_rad * joint_velocity_radps
        + _links_nm(legs, turn, place, joint_acceleration_radps2, projected_gravity)
    )
    held_nm = needed - joint_torque_nm
    forces = []
    for foot, link in enumerate(legs.foot_link):
        chain = link_chain(legs, link)
        _, jacobian = foot_jacobian(legs, turn, place, foot)
        torque = held_nm[..., [legs.links[each].joint for each in chain]]
        square = jacobian @ np.swapaxes(jacobian, -1, -2) + _DAMPED * np.eye(3)
        side = (jacobian @ torque[..., None])[..., 0]
        forces.append(np.linalg.solve(square, side[..., None])[..., 0])
    return np.stack(forces, axis=-2)


def _links_nm(
    legs: LegModel,
    turn: list[FloatArray],
    place: list[FloatArray],
    acceleration_radps2: FloatArray,
    gravity: FloatArray,
) -> FloatArray:
    """Torque about each joint that the links' weight and inertia need, shape (N, J)."""
    torque = np.zeros_like(acceleration_radps2)
    for index, link in enumerate(legs.links):
        chain = link_chain(legs, index)
        com_m = place[index] + turn[index] @ link.com_m
        axes = [turn[each] @ legs.links[each].axis for each in chain]
        levers = [com_m - place[each] for each in chain]
        rates = [acceleration_radps2[..., legs.links[each].joint, None] for each in chain]
        angular = sum((axis * rate for axis, rate in zip(axes, rates, strict=True)), np.zeros(3))
        linear = sum(
            (cross(a, lever) * r for a, lever, r in zip(axes, levers, rates, strict=True)),
            -_GRAVITY_MPS2 * gravity,
        )
        inertia = turn[index] @ link.inertia_kgm2 @ np.swapaxes(turn[index], -1, -2)
        moment = (inertia @ angular[..., None])[..., 0]
        for each, axis, lever in zip(chain, axes, levers, strict=True):
            about = cross(lever, link.mass_kg * linear) + moment
            torque[..., legs.links[each].joint] += np.sum(axis * about, axis=-1)
    return torque
