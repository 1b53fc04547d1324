"""Read and write the files of the public code: a torch archive that holds a state dictionary."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rwmu_deploy.contract.errors import CheckpointError
from rwmu_train.world_model.torch_archive import read_archive, require_numbers

WEIGHTS_KEY, ITERATION_KEY = "system_dynamics_state_dict", "iter"


@dataclass(frozen=True)
class ReleasedFile:
    """What of a file of the public code concerns the world model."""

    tensors: dict[str, Tensor]
    """On the CPU, float32, finite."""
    iteration: int
    """As the file says; 0 where it does not."""
    sha256: str


def read_released_file(path: Path) -> ReleasedFile:
    """Read the world model's tensors; code in the file is never run.

    Raises:
        CheckpointError: The file is missing, cut short, not a torch archive, asks for code to be
            run, or holds no world model or one with other than finite float32 numbers.
    """
    document, payload = read_archive(path, wanted="the .pt file of the public code")
    tensors = document.get(WEIGHTS_KEY) if isinstance(document, dict) else None
    if not isinstance(tensors, dict) or not tensors:
        raise CheckpointError(
            f"{path} holds no world model: it has no tensors under '{WEIGHTS_KEY}'",
            fix="Give a checkpoint that the public code saved with its system dynamics.",
        )
    for name, tensor in tensors.items():
        require_numbers(path, WEIGHTS_KEY, name, tensor)
    stated = document.get(ITERATION_KEY)
    iteration = stated if isinstance(stated, int) and stated >= 0 else 0
    return ReleasedFile(dict(tensors), iteration, hashlib.sha256(payload).hexdigest())


def released_file_bytes(tensors: dict[str, Tensor], iteration: int) -> bytes:
    """The file that `read_released_file` reads."""
    buffer = io.BytesIO()
    torch.save({WEIGHTS_KEY: tensors, ITERATION_KEY: iteration, "infos": None}, buffer)
    return buffer.getvalue()
