"""Where a robot's links and feet are, and how they move with its joints.

N = rows, J = joints, L = links, F = feet; the leading N may be missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.leg_model import LegModel
from rwmu_deploy.contract.vector_product import cross, turned

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LinkFrames:
    """How the links lie, base frame."""

    turn: FloatArray
    """Rotations, shape (N, L, 3, 3)."""
    place_m: FloatArray
    """Origins, shape (N, L, 3)."""
    axis: FloatArray
    """Unit vectors of the joints that move them, shape (N, L, 3)."""


def link_frames(legs: LegModel, position_rad: FloatArray) -> LinkFrames:
    """Frames of every link at joint positions (N, J)."""
    links = legs.arrays
    shape = position_rad.shape[:-1]
    count = len(links.joint)
    # One more, the last, is the base: its index is -1.
    turn = np.empty((*shape, count + 1, 3, 3))
    place_m = np.zeros((*shape, count + 1, 3))
    turn[..., -1, :, :] = np.eye(3)
    against_parent = links.turn @ _rotation(links.axis_cross, position_rad[..., links.joint])
    for level in links.levels:
        before = turn[..., links.parent[level], :, :]
        carried = place_m[..., links.parent[level], :]
        place_m[..., level, :] = carried + turned(before, links.origin_m[level])
        turn[..., level, :, :] = before @ against_parent[..., level, :, :]
    turn, place_m = turn[..., :-1, :, :], place_m[..., :-1, :]
    return LinkFrames(turn, place_m, turned(turn, links.axis))


def foot_jacobians(legs: LegModel, frames: LinkFrames) -> tuple[FloatArray, FloatArray]:
    """Positions of the feet (N, F, 3), and their velocities per joint speed (N, F, 3, L).

    Base frame. The joints are those that move the links; one that does not carry a foot has 0.
    """
    feet = list(legs.foot_link)
    foot_m = frames.place_m[..., feet, :] + turned(frames.turn[..., feet, :, :], legs.foot_m)
    levers_m = foot_m[..., :, None, :] - frames.place_m[..., None, :, :]
    moves = cross(frames.axis[..., None, :, :], levers_m)
    moves *= legs.arrays.carried_by[feet][..., None]
    return foot_m, np.swapaxes(moves, -1, -2)


def feet_in_base(
    legs: LegModel, position_rad: FloatArray, velocity_radps: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Where the feet are and how the joints move them, base frame, shapes (N, F, 3).

    Args:
        legs: The robot's.
        position_rad: Shape (N, J).
        velocity_radps: Shape (N, J).
    """
    foot_m, jacobian = foot_jacobians(legs, link_frames(legs, position_rad))
    return foot_m, turned(jacobian, velocity_radps[..., None, legs.arrays.joint])


def _rotation(axis_cross: FloatArray, angle_rad: FloatArray) -> FloatArray:
    """Rotations about unit axes by angles (N, L) (Rodrigues), shape (N, L, 3, 3)."""
    sin, cos = np.sin(angle_rad)[..., None, None], np.cos(angle_rad)[..., None, None]
    return np.eye(3) + sin * axis_cross + (1.0 - cos) * (axis_cross @ axis_cross)
