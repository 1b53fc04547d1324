"""Where a robot's links and feet are, and how they move with its joints.

N = rows, J = joints, F = feet, c = joints that carry a foot; the leading N may be missing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.leg_model import LegModel

FloatArray = NDArray[np.float64]
_NEXT, _LAST = np.array([1, 2, 0]), np.array([2, 0, 1])


def link_frames(
    legs: LegModel, position_rad: FloatArray
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Rotation (N, 3, 3) and origin (N, 3) of every link, base frame."""
    turns: list[FloatArray] = []
    places: list[FloatArray] = []
    shape = position_rad.shape[:-1]
    for link in legs.links:
        if link.parent is None:
            before, origin = np.broadcast_to(np.eye(3), (*shape, 3, 3)), np.zeros((*shape, 3))
        else:
            before, origin = turns[link.parent], places[link.parent]
        places.append(origin + before @ link.origin_m)
        turns.append(before @ link.turn @ _rotation(link.axis, position_rad[..., link.joint]))
    return turns, places


def foot_jacobian(
    legs: LegModel, turn: list[FloatArray], place: list[FloatArray], foot: int
) -> tuple[FloatArray, FloatArray]:
    """A foot's position (N, 3), and its velocity per speed of the joints that carry it (N, 3, c).

    Base frame; the joints are those of `link_chain`, c of them.
    """
    link = legs.foot_link[foot]
    foot_m = place[link] + turn[link] @ legs.foot_m[foot]
    columns = [
        cross(turn[each] @ legs.links[each].axis, foot_m - place[each])
        for each in link_chain(legs, link)
    ]
    return foot_m, np.stack(columns, axis=-1)


def feet_in_base(
    legs: LegModel, position_rad: FloatArray, velocity_radps: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Where the feet are and how the joints move them, base frame, shapes (N, F, 3).

    Args:
        legs: The robot's.
        position_rad: Shape (N, J).
        velocity_radps: Shape (N, J).
    """
    turn, place = link_frames(legs, position_rad)
    places_m, velocities_mps = [], []
    for foot, link in enumerate(legs.foot_link):
        joints = [legs.links[each].joint for each in link_chain(legs, link)]
        foot_m, jacobian = foot_jacobian(legs, turn, place, foot)
        places_m.append(foot_m)
        velocities_mps.append((jacobian @ velocity_radps[..., joints, None])[..., 0])
    return np.stack(places_m, axis=-2), np.stack(velocities_mps, axis=-2)


def link_chain(legs: LegModel, link: int) -> list[int]:
    """The links from the base to one of them."""
    chain = [link]
    while (parent := legs.links[chain[0]].parent) is not None:
        chain.insert(0, parent)
    return chain


def cross(first: FloatArray, second: FloatArray) -> FloatArray:
    """Cross product along the last axis, which has 3 entries.

    As np.cross, which takes ten times as long for one pair; a control tick needs a hundred.
    """
    return first[..., _NEXT] * second[..., _LAST] - first[..., _LAST] * second[..., _NEXT]


def _rotation(axis: FloatArray, angle_rad: FloatArray) -> FloatArray:
    """Rotation about a unit axis (Rodrigues), shape (N, 3, 3)."""
    x, y, z = axis
    turning = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    sin, cos = np.sin(angle_rad)[..., None, None], np.cos(angle_rad)[..., None, None]
    return np.eye(3) + sin * turning + (1.0 - cos) * (turning @ turning)
