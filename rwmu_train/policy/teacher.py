"""A policy that another one begins from: what it would do in every state of the data.

So a policy is fine-tuned whatever it was made of: a bundle, a run, networks of other sizes.
n = rows, O = observation size, A = action size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rwmu_deploy.contract.bundle_files import MANIFEST_NAME, read_manifest_bytes
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.policy.demonstrations import Demonstrations
from rwmu_train.policy.demonstrator import Teaches
from rwmu_train.policy.policy_checkpoint import load_policy, weights_sha256
from rwmu_train.reference.bundle_policy import load_bundle_policy

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Teacher:
    """A policy to begin from."""

    folder: Path
    sha256: str
    """Of the bundle, or of a run's weights."""
    act: Callable[[Tensor], Tensor]
    """Actions (n, A) of observations (n, O)."""

    def answers(self, demonstrations: Demonstrations) -> Demonstrations:
        """The same observations with the teacher's actions."""
        parts = demonstrations.observation.split(_ROWS_AT_ONCE)
        with torch.no_grad():
            actions = torch.cat([self.act(part) for part in parts])
        return replace(demonstrations, action=actions)

    def for_robots(self, count: int) -> AnsweringRobots:
        """Its ticks on so many robots; it has no memory."""
        del count
        return AnsweringRobots(self.act)


@dataclass(frozen=True)
class AnsweringRobots:
    """A policy without memory, as a `Demonstrator`."""

    answer: Callable[[Tensor], Tensor]

    def begin(self, index: Tensor, command: Tensor) -> None:
        """Nothing to do."""

    def act(self, observation: Tensor, touching: Tensor) -> Tensor:
        """Actions (n, A)."""
        del touching
        return self.answer(observation)


def load_teacher(folder: Path, spec: RobotSpec) -> Teacher:
    """The policy of a bundle or of a run folder.

    Raises:
        BundleError: The bundle can't be trusted, or is of another robot.
        CheckpointError: The run has no policy.
        ConfigError: The run is of another robot.
    """
    if (folder / MANIFEST_NAME).exists():
        sha256 = hashlib.sha256(read_manifest_bytes(folder)).hexdigest()
        return Teacher(folder, sha256, load_bundle_policy(folder, spec))
    network, facts = load_policy(folder)
    if facts.robot.joint_names != spec.joint_names:
        raise ConfigError(
            f"{folder} was trained for robot '{facts.robot.name}'; allowed is '{spec.name}'",
            fix="Name a policy of this robot.",
        )
    return Teacher(folder, weights_sha256(network), network)


def what_it_is(teacher: Teaches | None) -> dict[str, Any]:
    """For the identity of a run; empty without a teacher."""
    return {} if teacher is None else {"teacher_sha256": teacher.sha256}
