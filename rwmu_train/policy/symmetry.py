"""Mirror observations and actions about the robot's sagittal plane.

A robot that is its own mirror image should walk to the left as it walks to the right: PPO learns
from every sample twice (Mittal et al., ICRA 2024, as rsl_rl has it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from tensordict import TensorDict
from torch import Tensor

from rwmu_deploy.contract.observation import observation_terms
from rwmu_deploy.contract.robot_spec import RobotSpec

if TYPE_CHECKING:
    from rwmu_train.environment.velocity_env import VelocityEnv

# Entries that change sign in the mirror y -> -y: polar vectors along y, axial ones along x and z.
_NEGATED_LABELS = {
    "base_linear_velocity_mps": {"y"},
    "base_angular_velocity_radps": {"x", "z"},
    "projected_gravity": {"y"},
    "velocity_command": {"vy_mps", "wz_radps"},
}


class SagittalMirror:
    """Permutation and signs of observation and action entries."""

    def __init__(self, spec: RobotSpec, device: str = "cpu") -> None:
        names = spec.joint_names
        joint_index = [names.index(spec.symmetry.left_right[name]) for name in names]
        joint_sign = [-1.0 if n in spec.symmetry.left_right_negated else 1.0 for n in names]
        index: list[int] = []
        sign: list[float] = []
        for term in observation_terms(spec):
            if term.name in _NEGATED_LABELS:
                negated = _NEGATED_LABELS[term.name]
                index += range(term.start, term.start + term.size)
                sign += [-1.0 if label in negated else 1.0 for label in term.labels]
            else:
                index += [term.start + i for i in joint_index]
                sign += joint_sign
        self._observation_index = torch.tensor(index, device=device)
        self._observation_sign = torch.tensor(sign, device=device)
        self._action_index = torch.tensor(joint_index, device=device)
        self._action_sign = torch.tensor(joint_sign, device=device)

    def observation(self, observation: Tensor) -> Tensor:
        """Mirrored observations, shape (..., O)."""
        return observation[..., self._observation_index] * self._observation_sign

    def action(self, action: Tensor) -> Tensor:
        """Mirrored actions, shape (..., A)."""
        return action[..., self._action_index] * self._action_sign


def append_mirrored(
    env: VelocityEnv, obs: TensorDict | None, actions: Tensor | None
) -> tuple[TensorDict | None, Tensor | None]:
    """rsl_rl's augmentation function: originals first, then their mirror images."""
    mirror = env.mirror
    if obs is not None:
        groups = {}
        for name in obs.keys():  # noqa: SIM118  a TensorDict iterates over its batch
            values = cast(Tensor, obs[name])
            groups[name] = torch.cat([values, mirror.observation(values)], dim=0)
        obs = TensorDict(groups, batch_size=[2 * obs.batch_size[0]])
    if actions is not None:
        actions = torch.cat([actions, mirror.action(actions)], dim=0)
    return obs, actions
