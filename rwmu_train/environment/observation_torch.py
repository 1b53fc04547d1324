"""The policy's observation in torch, equal to `rwmu_deploy.contract.observation`."""

from __future__ import annotations

import torch
from torch import Tensor

from rwmu_deploy.contract.observation import observation_terms
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.task.velocity_task import ObservationNoise


def build_observation(
    columns: TransitionColumns, state: Tensor, velocity_command: Tensor, last_action: Tensor
) -> Tensor:
    """Put observations together.

    Args:
        columns: The robot's columns.
        state: Shape (..., S).
        velocity_command: vx [m/s], vy [m/s], wz [rad/s], shape (..., 3).
        last_action: The action that produced `state`, shape (..., A).

    Returns:
        Shape (..., observation_size).
    """
    return torch.cat(
        [
            state[..., columns.base_linear_velocity_mps.slice],
            state[..., columns.base_angular_velocity_radps.slice],
            state[..., columns.projected_gravity.slice],
            velocity_command,
            state[..., columns.joint_position_offset_rad.slice],
            state[..., columns.joint_velocity_radps.slice],
            last_action,
        ],
        dim=-1,
    )


def noise_half_width(spec: RobotSpec, noise: ObservationNoise) -> Tensor:
    """Half width of the uniform noise on each observation entry, shape (observation_size,)."""
    return torch.cat(
        [
            torch.full((term.size,), noise.extra.get(term.name, term.noise) * noise.scale)
            for term in observation_terms(spec)
        ]
    )
