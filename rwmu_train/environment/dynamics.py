"""The port between the environment and whatever moves the robots: physics or a world model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from rwmu_train.environment.chosen_robots import ChosenRobots


@dataclass(frozen=True)
class DynamicsOutcome:
    """What all robots measure after a control step.

    N = robots, S = state size, K = contacts, X = extension columns.
    """

    state: Tensor
    """Shape (N, S)."""
    contact: Tensor
    """0 or 1, shape (N, K)."""
    fell: Tensor
    """Boolean, shape (N,)."""
    uncertainty: Tensor
    """Epistemic uncertainty of this step, shape (N,); zero for physics."""
    extension: Tensor
    """Shape (N, X)."""


class Dynamics(Protocol):
    """N robots that step together."""

    count: int
    device: str

    def reset(self, who: ChosenRobots) -> tuple[Tensor, Tensor]:
        """Begin new episodes for some robots.

        Returns:
            Their states (k, S), and the actions (k, A) that produced them.
        """
        ...

    def step(self, action: Tensor) -> DynamicsOutcome:
        """Apply actions (N, A) for one control step."""
        ...

    def push(self, who: ChosenRobots, velocity_mps: Tensor) -> Tensor:
        """Add horizontal base velocity (k, 2) to robots; returns the states (k, S) of now."""
        ...
