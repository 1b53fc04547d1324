"""The stepping gait as a teacher of policies: its answers to what they see.

N = robots, O = observation size, A = action size, F = feet.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from rwmu_deploy.contract.observation import observation_terms
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.gait.gait_settings import GaitSettings, load_gait_settings
from rwmu_train.gait.stepping_gait import SteppingGait

_COMMAND = "velocity_command"


@dataclass(frozen=True)
class GaitTeacher:
    """A gait to begin from."""

    spec: RobotSpec
    settings: GaitSettings
    sha256: str
    """Of the settings."""

    def for_robots(self, count: int) -> SteppingRobots:
        """Its ticks on so many robots."""
        return SteppingRobots(self.spec, self.settings, count)


def load_gait_teacher(spec: RobotSpec) -> GaitTeacher:
    """The gait of a robot.

    Raises:
        RobotSpecError: It has none, or it can't step.
    """
    settings = load_gait_settings(spec)
    SteppingGait(spec, settings, 1)
    digest = hashlib.sha256(repr(sorted(asdict(settings).items())).encode()).hexdigest()
    return GaitTeacher(spec, settings, digest)


class SteppingRobots:
    """A gait on N robots, told what they observe."""

    def __init__(self, spec: RobotSpec, settings: GaitSettings, count: int) -> None:
        self._gait = SteppingGait(spec, settings, count)
        columns = TransitionColumns.of(spec)
        term = {each.name: each.slice for each in observation_terms(spec)}
        self._command = term[_COMMAND]
        # Every observed block of the state, and where it stands in the observation.
        self._blocks = [
            (block.slice, term[block.name]) for block in columns.blocks if block.name in term
        ]
        self._state_size = columns.state_size

    def begin(self, index: Tensor, command: Tensor) -> None:
        """Robots (k,) are put down, with commands (k, 3); they set out to the side asked for."""
        left, right = self._gait.feet_left_and_right
        goes_left = command[:, 1].numpy() > 0.0
        self._gait.begin(index.numpy(), np.where(goes_left, right, left))

    def act(self, observation: Tensor, touching: Tensor) -> Tensor:
        """Actions (N, A) of observations (N, O) and of which feet touch the ground (N, F)."""
        seen = observation.numpy().astype(np.float64)
        state = np.zeros((len(seen), self._state_size))
        for columns, entries in self._blocks:
            state[:, columns] = seen[:, entries]
        action = self._gait.act(state, touching.numpy(), seen[:, self._command])
        return torch.from_numpy(action.astype(np.float32))
