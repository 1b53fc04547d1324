"""How fast feet slide over the ground while they touch it."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.simulation.foot_kinematics import FootKinematics


class FootSlip:
    """Mean slip of a batch of robots, by forward kinematics of some of them at a time.

    Args:
        spec: The robot.
        robots: N.
        each_step: How many are followed in a step, at most; they take turns.
    """

    def __init__(self, spec: RobotSpec, robots: int, each_step: int) -> None:
        self._feet = FootKinematics(spec)
        self._columns = TransitionColumns.of(spec)
        self._default_rad = np.asarray(spec.default_position_rad)
        self._foot = [spec.contact_names.index(name) for name in spec.foot_names]
        self._robots, self._turns, self._step = robots, -(-robots // each_step), 0
        self._metres_per_second = 0.0
        self._touching = 0

    def add(self, true_state: Tensor, contact: Tensor, walking: Tensor) -> None:
        """One control step.

        Args:
            true_state: Shape (N, S).
            contact: 0 or 1, shape (N, K).
            walking: Robots that have not fallen, boolean, shape (N,).
        """
        turn = np.arange(self._step % self._turns, self._robots, self._turns)
        self._step += 1
        rows = turn[walking.numpy()[turn]]
        if len(rows) == 0:
            return
        state, columns = true_state[rows].double().numpy(), self._columns
        velocity = self._feet.foot_velocity_mps(
            state[:, columns.base_linear_velocity_mps.slice],
            state[:, columns.base_angular_velocity_radps.slice],
            state[:, columns.joint_position_offset_rad.slice] + self._default_rad,
            state[:, columns.joint_velocity_radps.slice],
        )
        gravity = state[:, None, columns.projected_gravity.slice]
        down = gravity / np.linalg.norm(gravity, axis=-1, keepdims=True)
        # Along the ground: without the part along gravity.
        along = velocity - (velocity * down).sum(-1, keepdims=True) * down
        touching = contact[rows][:, self._foot].numpy() > 0.5
        self._metres_per_second += float(np.linalg.norm(along, axis=-1)[touching].sum())
        self._touching += int(touching.sum())

    @property
    def mean_mps(self) -> float:
        """Mean over contacts and steps; 0 without any."""
        return self._metres_per_second / max(self._touching, 1)
