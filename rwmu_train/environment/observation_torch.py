"""The policy's observation in torch, equal to `rwmu_deploy.contract.observation`."""

from __future__ import annotations

import torch
from torch import Tensor

from rwmu_deploy.contract.errors import ConfigError
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


class ActorView:
    """What the actor gets to see of an observation: with noise, and 0 where it sees nothing.

    Args:
        spec: The robot.
        noise: How much noise, and what is not seen.
        device: Of the observations.

    Raises:
        ConfigError: `noise` names a term that the robot's observation does not have.
    """

    def __init__(self, spec: RobotSpec, noise: ObservationNoise, device: str = "cpu") -> None:
        terms = {term.name: term for term in observation_terms(spec)}
        unknown = sorted({*noise.extra, *noise.unseen} - set(terms))
        if unknown:
            raise ConfigError(
                f"an observation has no {', '.join(unknown)}; allowed are {', '.join(terms)}",
                fix="Correct noise.unseen or noise.extra.",
            )
        self.noise_half_width = torch.cat(
            [
                torch.full((term.size,), noise.extra.get(term.name, term.noise) * noise.scale)
                for term in terms.values()
            ]
        ).to(device)
        """Shape (O,)."""
        self.seen = torch.cat(
            [
                torch.full((term.size,), float(term.name not in noise.unseen))
                for term in terms.values()
            ]
        ).to(device)
        """1 where the actor sees an entry, else 0; shape (O,)."""

    def __call__(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the noise on observations, shape (..., O)."""
        jitter = 2.0 * torch.rand(clean.shape, generator=generator, device=clean.device) - 1.0
        return (clean + jitter * self.noise_half_width) * self.seen
