"""How robots' bases and feet lie and move, in a level frame that turns with the base.

N = robots, S = state size, F = feet, c = joints of a leg. x forward, y to the left, z up, from the
base.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.leg_model import LegModel
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.contract.vector_product import cross, turned
from rwmu_deploy.runtime.leg_kinematics import foot_jacobians, link_frames

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class BodyPose:
    """All robots, level frame."""

    turn: FloatArray
    """Base frame to level frame, shape (N, 3, 3)."""
    roll_rad: FloatArray
    """Shape (N,)."""
    pitch_rad: FloatArray
    velocity_mps: FloatArray
    """Of the base's origin, shape (N, 3)."""
    rate_radps: FloatArray
    """Angular velocity of the base, shape (N, 3)."""
    foot_m: FloatArray
    """Shape (N, F, 3)."""
    foot_turn: FloatArray
    """Feet's frames, shape (N, F, 3, 3)."""
    jacobian: FloatArray
    """Linear and angular velocity of each foot against the base per joint speed of its leg, shape
    (N, F, 6, c)."""
    position_rad: FloatArray
    """Of the joints, shape (N, J)."""
    speed_radps: FloatArray


def body_pose(spec: RobotSpec, legs: LegModel, state: FloatArray) -> BodyPose:
    """What a state (N, S) says."""
    columns = TransitionColumns.of(spec)
    position = state[:, columns.joint_position_offset_rad.slice] + spec.default_position_rad
    angular = state[:, columns.base_angular_velocity_radps.slice]
    # The state's velocity is that of the base's centre of mass.
    com = np.broadcast_to(np.array(spec.simulation.base_com_in_base_m), angular.shape)
    linear = state[:, columns.base_linear_velocity_mps.slice] - cross(angular, com)
    x, y, z = state[:, columns.projected_gravity.slice].T
    pitch, roll = np.arcsin(np.clip(x, -1.0, 1.0)), np.arctan2(-y, -z)
    turn = _level(roll, pitch)
    links = legs.arrays
    frames = link_frames(legs, position)
    foot, moves = foot_jacobians(legs, frames)
    turns, jacobians = [], []
    for number, link in enumerate(legs.foot_link):
        chain = links.carried_by[link]
        both = [moves[:, number][..., chain], np.swapaxes(frames.axis[:, chain], -1, -2)]
        turns.append(turn @ frames.turn[:, link])
        jacobians.append(np.concatenate([turn @ each for each in both], axis=1))
    return BodyPose(
        turn=turn,
        roll_rad=roll,
        pitch_rad=pitch,
        velocity_mps=turned(turn, linear),
        rate_radps=turned(turn, angular),
        foot_m=turned(turn[:, None], foot),
        foot_turn=np.stack(turns, axis=1),
        jacobian=np.stack(jacobians, axis=1),
        position_rad=position,
        speed_radps=state[:, columns.joint_velocity_radps.slice],
    )


def _level(roll: FloatArray, pitch: FloatArray) -> FloatArray:
    """Rotation about y by pitch after one about x by roll."""
    cp, sp, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    zero = np.zeros_like(roll)
    rows = [[cp, sp * sr, sp * cr], [zero, cr, -sr], [-sp, cp * sr, cp * cr]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
