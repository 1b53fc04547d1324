"""Force of the ground on each foot, from joint torques: what the legs hold beyond themselves.

Of the legs' equation of motion, as if the base did not accelerate and joint speeds made no forces:
(M + armature) q'' + damping * q' + gravity = torque + J^T force.

N = rows, J = joints, L = links, F = feet; the leading N may be missing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.leg_model import LegModel
from rwmu_deploy.contract.vector_product import cross, turned
from rwmu_deploy.runtime.leg_kinematics import LinkFrames, foot_jacobians, link_frames

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
    frames = link_frames(legs, joint_position_rad)
    needed_nm = (
        legs.armature_kgm2 * joint_acceleration_radps2
        + legs.damping_nms_per_rad * joint_velocity_radps
    )
    joint = legs.arrays.joint
    held_nm = (needed_nm - joint_torque_nm)[..., joint]
    held_nm += _links_nm(legs, frames, joint_acceleration_radps2[..., joint], projected_gravity)
    _, jacobian = foot_jacobians(legs, frames)
    square = jacobian @ np.swapaxes(jacobian, -1, -2) + _DAMPED * np.eye(3)
    forces_n = np.linalg.solve(square, jacobian @ held_nm[..., None, :, None])[..., 0]
    return forces_n.astype(np.float64, copy=False)


def _links_nm(
    legs: LegModel, frames: LinkFrames, acceleration_radps2: FloatArray, gravity: FloatArray
) -> FloatArray:
    """Torque about each link's joint that weight and inertia of what it carries need, (N, L).

    Every link is moved by all that carry it, and its forces act on them about the base's origin.
    """
    links = legs.arrays
    carried_by = links.carried_by.astype(np.float64)
    com_m = frames.place_m + turned(frames.turn, links.com_m)
    own = frames.axis * acceleration_radps2[..., None]
    angular = carried_by @ own
    at_origin = -(carried_by @ cross(own, frames.place_m))
    upwards = -_GRAVITY_MPS2 * gravity[..., None, :]
    force_n = links.mass_kg[:, None] * (at_origin + cross(angular, com_m) + upwards)
    back = np.swapaxes(frames.turn, -1, -2)
    moment_nm = turned(frames.turn, turned(links.inertia_kgm2, turned(back, angular)))
    moment_nm += cross(com_m, force_n)
    carried_n, carried_nm = carried_by.T @ force_n, carried_by.T @ moment_nm
    return np.sum(frames.axis * (carried_nm - cross(frames.place_m, carried_n)), axis=-1)
