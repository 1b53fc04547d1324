"""PolicyBundle: the verified folder that a robot runs.

Nothing is believed: hashes before parsing, the guard before onnxruntime, the trainer's golden
vectors before the first action.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.bundle_files import (
    MODEL_NAME,
    WORLD_MODEL_NAME,
    is_sha256,
    read_listed_files,
    read_manifest_bytes,
)
from rwmu_deploy.contract.bundle_manifest import (
    BundleManifest,
    facts_text,
    read_manifest,
)
from rwmu_deploy.contract.bundle_robot_match import match_robot
from rwmu_deploy.contract.bundle_session import PolicySession
from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_deploy.contract.bundle_world_model import (
    WorldModelSession,
    check_world_model,
    replay_golden_steps,
)
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import BundleError
from rwmu_deploy.contract.observation import observation_size
from rwmu_deploy.contract.onnx_guard import ModelFacts
from rwmu_deploy.contract.robot_spec import RobotSpec

GOLDEN_TOLERANCE = 1e-5
"""Largest difference from the trainer's action. It is not read from the bundle."""


class PolicyBundle:
    """A policy with everything that a robot must know to run it. Make one with `load`."""

    def __init__(
        self,
        manifest: BundleManifest,
        session: PolicySession,
        spec: RobotSpec,
        golden_difference: float,
        world_model: WorldModelSession | None = None,
    ) -> None:
        self.name = manifest.name
        self.spec = spec
        """Joint order of observations and actions; the robot's own spec if one was given."""
        self.command_range: CommandRange = manifest.command_range
        self.observation_range: TrainingRange | None = manifest.observation_range
        self.action_range: TrainingRange | None = manifest.action_range
        self.sha256 = manifest.sha256
        """Hash of the manifest, and so of the whole bundle."""
        self.manifest: Mapping[str, Any] = manifest.document
        self.golden_observations = manifest.golden_observations
        self.golden_actions = manifest.golden_actions
        self.golden_difference = golden_difference
        """Largest difference found when the golden vectors were replayed."""
        self.model: ModelFacts = session.facts
        self.world_model = world_model
        """On board, for the monitor; None where the bundle has none."""
        monitor = manifest.monitor
        self.monitor_calibration = None if monitor is None else monitor.calibration
        """What is ordinary on the robot that the monitor was calibrated on."""
        self._session = session

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        robot: RobotSpec | None = None,
        expected_sha256: str | None = None,
    ) -> PolicyBundle:
        """Read and verify a bundle.

        Args:
            folder: The bundle.
            robot: The robot that it shall run on; joints are matched by name.
            expected_sha256: The only bundle that is wanted.

        Raises:
            BundleError: Anything is missing, altered, of another bundle or robot, or answers
                otherwise than the trainer did.
        """
        folder = Path(folder)
        data = read_manifest_bytes(folder)
        manifest = read_manifest(data)
        _check_expected(folder, manifest.sha256, expected_sha256)
        contents = read_listed_files(folder, manifest.files)
        stated_facts = facts_text(manifest.document)
        if manifest.monitor is not None:
            # Before any session exists; its own is made below.
            check_world_model(contents[WORLD_MODEL_NAME], manifest.spec, stated_facts)
        session = PolicySession(
            contents[MODEL_NAME],
            observation_size=observation_size(manifest.spec),
            action_size=manifest.spec.joint_count,
            stated_facts=stated_facts,
        )
        difference = _replay_golden(manifest, session)
        world_model = None
        if manifest.monitor is not None:
            world_model = WorldModelSession(contents[WORLD_MODEL_NAME], manifest.spec)
            replay_golden_steps(manifest.monitor.golden, world_model)
        spec = manifest.spec if robot is None else match_robot(manifest.spec, robot)
        return cls(manifest, session, spec, difference, world_model)

    def action(self, observation: NDArray[np.float32]) -> NDArray[np.float64]:
        """The policy's action in `spec` joint order, shape (A,).

        Args:
            observation: Shape (O,), float32. If it is not finite, every action is NaN.

        Raises:
            BundleError: Wrong shape or number type.
        """
        return self._session.action(observation)


def _check_expected(folder: Path, sha256: str, expected: str | None) -> None:
    if expected is None:
        return
    if not is_sha256(expected.strip().lower()):
        raise BundleError(
            f"expected_sha256 is {expected[:80]!r}; allowed are 64 hexadecimal digits",
            fix="Copy the hash that rwmu-export inspect prints.",
        )
    if sha256 != expected.strip().lower():
        raise BundleError(
            f"bundle {folder} has SHA-256 {sha256}, expected is {expected}",
            fix="Give the folder of the expected bundle, or its new hash on purpose.",
        )


def _replay_golden(manifest: BundleManifest, session: PolicySession) -> float:
    worst = 0.0
    for i, (observation, expected) in enumerate(
        zip(manifest.golden_observations, manifest.golden_actions, strict=True)
    ):
        difference = np.abs(session.action(observation) - expected)
        if not difference.max() <= GOLDEN_TOLERANCE:
            joint = manifest.spec.joint_names[int(np.argmax(difference))]
            raise BundleError(
                f"golden vector {i}: the action of {joint} differs by {difference.max():.3g} from "
                f"the trainer's, allowed is {GOLDEN_TOLERANCE:g}",
                fix="Export the bundle again; do not run this one.",
            )
        worst = max(worst, float(difference.max()))
    return worst
