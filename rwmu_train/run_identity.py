"""What must not have changed when the training of a policy goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rwmu_train.policy.teacher import Teacher, what_it_is
from rwmu_train.presets import OfflinePreset
from rwmu_train.task.velocity_task import VelocityTask
from rwmu_train.transitions.dataset import TransitionDataset


def what_a_run_is_of(
    preset: OfflinePreset,
    task: VelocityTask,
    dataset: TransitionDataset,
    *,
    normaliser: str,
    world_model_sha256: str,
    seed: int,
    judge: str,
    teacher: Teacher | None = None,
) -> dict[str, Any]:
    """Settings, seed and hashes of data and world model by name, as JSON values.

    Args:
        preset: Settings; those of the world model's training are left to its hash.
        task: What is asked of the robot.
        dataset: The data.
        normaliser: Name of the world model's normaliser, which counts instead of the preset's.
        world_model_sha256: Of its weights.
        seed: Of the policy.
        judge: What chooses among the policies.
        teacher: Whose actions are cloned, where not those in the data.
    """
    return {
        **_by_name({**asdict(preset), "task": task.what_is_asked()}),
        "normaliser": normaliser,
        "seed": seed,
        "judge": judge,
        "robot_sha256": dataset.spec.sha256,
        "data_sha256": list(dataset.file_sha256),
        "mix": dataset.mix and dict(dataset.mix),
        "world_model_sha256": world_model_sha256,
        **what_it_is(teacher),
    }


def _by_name(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by dotted name, without those of the world model."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _by_name(value, f"{prefix}{name}.")
        elif not prefix.startswith("world_model."):
            flat[prefix + name] = value
    return flat
