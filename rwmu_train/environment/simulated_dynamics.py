"""Physics as the environment's dynamics: a batch of simulated robots."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_train.environment.chosen_robots import ChosenRobots, ListedRobots
from rwmu_train.environment.dynamics import DynamicsOutcome


class SimulatedDynamics:
    """A `RobotBatch` behind the `Dynamics` port. States are float32 on the CPU."""

    device = "cpu"

    def __init__(self, robots: RobotBatch) -> None:
        self.robots = robots
        self.count = robots.count
        self.true_state = torch.zeros(0)
        """State after the latest step without errors of sensors, shape (N, S)."""

    def reset(self, who: ChosenRobots) -> tuple[Tensor, Tensor]:
        """Put robots down anew; nothing produced their states, so their actions are 0."""
        index = _listed(who)
        self.robots.reset(index.numpy())
        return self._state(index), torch.zeros(len(index), self.robots.spec.joint_count)

    def step(self, action: Tensor) -> DynamicsOutcome:
        """One control step of physics."""
        outcome = self.robots.step(action.numpy())
        self.true_state = torch.from_numpy(outcome.true_state.astype(np.float32))
        return DynamicsOutcome(
            state=torch.from_numpy(outcome.state.astype(np.float32)),
            contact=torch.from_numpy(outcome.contact.astype(np.float32)),
            fell=torch.from_numpy(outcome.fell),
            uncertainty=torch.zeros(self.count),
            extension=torch.from_numpy(outcome.extension.astype(np.float32)),
        )

    def push(self, who: ChosenRobots, velocity_mps: Tensor) -> Tensor:
        """A horizontal world-frame kick."""
        index = _listed(who)
        self.robots.push(index.numpy(), velocity_mps.numpy().astype(np.float64))
        return self._state(index)

    def _state(self, index: Tensor) -> Tensor:
        return torch.from_numpy(self.robots.state(index.numpy()).astype(np.float32))


def _listed(who: ChosenRobots) -> Tensor:
    if not isinstance(who, ListedRobots):
        raise TypeError("physics moves robots by their numbers: use ListedRobots")
    return who.index
