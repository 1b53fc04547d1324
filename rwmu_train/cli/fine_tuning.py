"""What `rwmu-train --resume-from` begins with: a policy, and its world model."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rwmu_deploy.contract.asset_folder import asset_path
from rwmu_deploy.contract.bundle_files import MANIFEST_NAME, read_manifest_bytes
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.policy.policy_checkpoint import load_policy
from rwmu_train.policy.teacher import Teacher, load_teacher
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.world_model.checkpoint import WEIGHTS, world_model_sha256
from rwmu_train.world_model.start import WorldModelStart, load_start


@dataclass(frozen=True)
class Beginning:
    """Where training begins; empty where it begins with the data alone."""

    teacher: Teacher | None = None
    world_model: WorldModelStart | None = None
    world_model_folder: Path | None = None

    @property
    def normaliser(self) -> StateNormaliser | None:
        """Of the world model's states, which its weights are made for."""
        return None if self.world_model is None else self.world_model.facts.normaliser

    def to_dict(self) -> dict[str, Any]:
        """For the summary."""
        about: dict[str, Any] = {}
        if self.teacher is not None:
            about["resumed_from"] = str(self.teacher.folder)
            about["teacher_sha256"] = self.teacher.sha256
        if self.world_model is not None:
            about["world_model_from"] = str(self.world_model_folder)
            about["world_model_from_sha256"] = self.world_model.sha256
        return about


def find_beginning(options: argparse.Namespace, spec: RobotSpec) -> Beginning:
    """What the options name, loaded.

    Raises:
        ConfigError: The world model of a bundle is not here, and nobody says where it is.
        CheckpointError: A policy or world model is missing, altered, or of another robot.
        BundleError: The bundle can't be trusted.
    """
    teacher = None
    if options.resume_from is not None:
        teacher = load_teacher(options.resume_from, spec)
    folder = options.world_model_from
    if folder is None and teacher is not None and options.world_model is None:
        folder = _world_model_of(teacher.folder, options.task)
    start = None if folder is None else load_start(folder, spec)
    return Beginning(teacher, start, folder)


def _world_model_of(place: Path, task: str) -> Path:
    """The world model that a policy was trained in: in its run, or shipped."""
    sha256 = _stated_world_model(place)
    shipped = asset_path("models", task)
    for folder in (place / "world_model", place.parent / "world_model", shipped):
        if (folder / WEIGHTS).is_file() and world_model_sha256(folder) == sha256:
            return folder
    raise ConfigError(
        f"{place} was trained in the world model of SHA-256 {sha256 or 'unknown'}, which is "
        f"neither beside it nor in {shipped}",
        fix="Name it with --world-model-from DIR"
        + (f", or go on from the shipped one, {shipped}." if shipped.is_dir() else "."),
    )


def _stated_world_model(place: Path) -> str | None:
    if (place / MANIFEST_NAME).exists():
        manifest = json.loads(read_manifest_bytes(place))
        found = manifest.get("provenance", {}).get("world_model_sha256")
        return found if isinstance(found, str) else None
    return load_policy(place)[1].world_model_sha256
