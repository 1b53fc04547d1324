"""The deterministic policy as it is kept, exported and run.

action = clip(MLP((observation - mean) / std), lower, upper), as in training.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from rsl_rl.models import MLPModel
from rsl_rl.modules import EmpiricalNormalization
from rsl_rl.modules.distribution import GaussianDistribution
from torch import nn

from rwmu_deploy.contract.action import action_bounds
from rwmu_deploy.contract.errors import CheckpointError
from rwmu_deploy.contract.observation import observation_size
from rwmu_deploy.contract.robot_spec import RobotSpec

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
}
"""Activations that the robot's loader allows."""


class PolicyNetwork(nn.Module):
    """Deterministic actor of one robot. O = observation size, A = joints.

    Args:
        spec: The robot; gives O, A and the clip, which is the joint limits as actions.
        hidden_sizes: Units of each hidden layer.
        activation: One of `ACTIVATIONS`.

    Raises:
        CheckpointError: No hidden layer, a layer without units, or an unknown activation.
    """

    observation_mean: torch.Tensor
    """Shape (O,); zeros when observations are not normalised."""
    observation_std: torch.Tensor
    """What observations are divided by, shape (O,); ones when they are not normalised."""
    action_lower: torch.Tensor
    action_upper: torch.Tensor

    def __init__(
        self,
        spec: RobotSpec,
        hidden_sizes: Sequence[int] = (128, 128, 128),
        activation: str = "elu",
    ) -> None:
        super().__init__()
        if not hidden_sizes or not all(size > 0 for size in hidden_sizes):
            raise CheckpointError(
                f"hidden sizes are {list(hidden_sizes)}; allowed are one or more positive numbers",
                fix="Use (128, 128, 128), as the paper does.",
            )
        if activation not in ACTIVATIONS:
            raise CheckpointError(
                f"activation is {activation!r}; allowed are {', '.join(ACTIVATIONS)}",
                fix="Train with one of these.",
            )
        self.hidden_sizes = tuple(hidden_sizes)
        self.activation = activation
        sizes = (observation_size(spec), *self.hidden_sizes)
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), ACTIVATIONS[activation]()]
        self.mlp = nn.Sequential(*layers, nn.Linear(sizes[-1], spec.joint_count))
        lower, upper = action_bounds(spec)
        self.register_buffer("observation_mean", torch.zeros(sizes[0]))
        self.register_buffer("observation_std", torch.ones(sizes[0]))
        self.register_buffer("action_lower", torch.from_numpy(_float32_inside(lower, upper)))
        self.register_buffer("action_upper", torch.from_numpy(_float32_inside(upper, lower)))

    @property
    def observation_size(self) -> int:
        return self.observation_mean.shape[0]

    @property
    def action_size(self) -> int:
        return self.action_lower.shape[0]

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Actions, shape (..., A), of observations, shape (..., O)."""
        normalised = (observation - self.observation_mean) / self.observation_std
        return torch.clamp(self.mlp(normalised), self.action_lower, self.action_upper)

    @torch.no_grad()
    def action(self, observation: NDArray[np.float32]) -> NDArray[np.float64]:
        """Actions of observations as numpy arrays, shape (..., A)."""
        return self(torch.from_numpy(observation)).numpy().astype(np.float64)

    @classmethod
    def from_rsl_rl(cls, actor: MLPModel, spec: RobotSpec) -> PolicyNetwork:
        """Take the mean action of a trained rsl_rl actor, with its normaliser, plus our clip.

        Args:
            actor: With or without observation normalisation; Gaussian or no distribution.
            spec: The robot that it was trained for.

        Raises:
            CheckpointError: The actor has another structure, other sizes, or weights that are not
                finite.
        """
        linear = [layer for layer in actor.mlp if isinstance(layer, nn.Linear)]
        others = [layer for layer in actor.mlp if not isinstance(layer, nn.Linear)]
        distribution = actor.distribution
        if distribution is not None and type(distribution) is not GaussianDistribution:
            raise _not_ours(f"its distribution is {type(distribution).__name__}", "Gaussian")
        layers = [linear[i // 2] if i % 2 == 0 else others[i // 2] for i in range(len(actor.mlp))]
        if len(linear) != len(others) + 1 or layers != list(actor.mlp):
            raise _not_ours(f"its layers are {list(actor.mlp)}", "Linear and activation in turn")
        network = cls(spec, [layer.out_features for layer in linear[:-1]], _activation(others))
        sizes = (linear[0].in_features, linear[-1].out_features)
        if sizes != (network.observation_size, network.action_size):
            raise _not_ours(
                f"its sizes are {sizes}",
                f"{(network.observation_size, network.action_size)}",
            )
        network.mlp.load_state_dict(actor.mlp.state_dict())
        normaliser = actor.obs_normalizer
        if isinstance(normaliser, EmpiricalNormalization):
            network.observation_mean.copy_(normaliser.mean)
            # rsl_rl divides by std + eps.
            network.observation_std.copy_(normaliser.std + normaliser.eps)
        elif type(normaliser) is not nn.Identity:
            raise _not_ours(f"its normaliser is {type(normaliser).__name__}", "rsl_rl's")
        network.check_numbers()
        return network.eval()

    def check_numbers(self) -> None:
        """Refuse weights that are not finite and a normaliser that divides by 0.

        Raises:
            CheckpointError: There is such a number.
        """
        for name, tensor in self.state_dict().items():
            if not torch.isfinite(tensor).all():
                raise CheckpointError(
                    f"policy weights '{name}' are not all finite",
                    fix="Training diverged: use an earlier checkpoint, or train again.",
                )
        if not (self.observation_std > 0.0).all():
            raise CheckpointError(
                f"smallest observation_std is {self.observation_std.min():g}; allowed is above 0",
                fix="Train again; the normaliser is broken.",
            )


def _float32_inside(bound: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float32]:
    """The nearest float32 on the side of the other bound: no action may pass a joint limit."""
    rounded = bound.astype(np.float32)
    towards = np.where(other > bound, np.inf, -np.inf).astype(np.float32)
    outside = np.where(other > bound, rounded < bound, rounded > bound)
    return np.where(outside, np.nextafter(rounded, towards), rounded)


def _activation(layers: Sequence[nn.Module]) -> str:
    for name, kind in ACTIVATIONS.items():
        if layers and all(type(layer) is kind for layer in layers):
            if any(getattr(layer, "alpha", 1.0) != 1.0 for layer in layers):
                break
            return name
    raise _not_ours(f"its activations are {list(layers)}", f"all of one of {list(ACTIVATIONS)}")


def _not_ours(problem: str, allowed: str) -> CheckpointError:
    return CheckpointError(
        f"the rsl_rl actor can't be converted: {problem}; allowed is {allowed}",
        fix="Train with the policy presets of rwmu.",
    )
