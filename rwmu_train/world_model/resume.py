"""What an interrupted training goes on from: weights, optimiser, progress, and its settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from rwmu_deploy.contract.errors import CheckpointError, ConfigError
from rwmu_deploy.contract.whole_file import write_whole
from rwmu_train.world_model.checkpoint import restore_training_state, training_state
from rwmu_train.world_model.ensemble import WorldModel

RESUME = "resume.safetensors"
_MAY_CHANGE = ("iterations", "validate_every")


@dataclass(frozen=True)
class Progress:
    """How far a training has come."""

    iteration: int
    best: float
    """Lowest held-out error so far; its model is the saved one."""
    run: Mapping[str, Any]
    """Settings, seed and hashes of the data."""


def save_resume(
    folder: Path, model: WorldModel, optimiser: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write the file whole, in place of the one before."""
    metadata = {"progress": json.dumps(vars(progress))}
    write_whole(folder / RESUME, save(training_state(model, optimiser), metadata))


def iterations_done(folder: Path) -> int:
    """Gradient steps behind the resume file of a folder; 0 where there is none.

    Raises:
        CheckpointError: The file is not whole.
    """
    path = folder / RESUME
    return _progress(path).iteration if path.is_file() else 0


def restore(
    folder: Path, model: WorldModel, optimiser: torch.optim.Optimizer, run: Mapping[str, Any]
) -> Progress:
    """Bring model and optimiser to where a training of the same settings and data was.

    Raises:
        ConfigError: There is nothing to resume, or it is of other settings or data.
        CheckpointError: The file is not whole.
    """
    path = folder / RESUME
    if not path.is_file():
        raise ConfigError(f"there is no file {path} to resume from", fix="Start without --resume.")
    progress = _progress(path)
    _refuse_other_run(path, progress.run, run)
    try:
        restore_training_state(model, optimiser, load_file(path))
    except _UNUSABLE as error:
        raise _not_usable(path, error) from None
    return progress


_UNUSABLE = (ValueError, KeyError, TypeError, RuntimeError, OSError, SafetensorError)


def _progress(path: Path) -> Progress:
    try:
        with safe_open(path, "pt") as file:
            document = json.loads((file.metadata() or {})["progress"])
        return Progress(int(document["iteration"]), document["best"], document.get("run", {}))
    except _UNUSABLE as error:
        raise _not_usable(path, error) from None


def _not_usable(path: Path, error: Exception) -> CheckpointError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return CheckpointError(
        f"{path} can't be resumed from: {reason}", fix="Train again in another folder."
    )


def _refuse_other_run(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """A file of an older version does not say what it is of, and is taken as it is."""
    for name, value in theirs.items():
        if name not in _MAY_CHANGE and ours.get(name) != value:
            raise ConfigError(
                f"{path} was trained with {name} {value}; now it is {ours.get(name)}",
                fix="Resume with the same settings, seed and data, or train in another folder.",
            )
