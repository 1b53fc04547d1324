"""Read and write the files of the public code: a torch archive that holds a state dictionary."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rwmu_deploy.contract.errors import CheckpointError

WEIGHTS_KEY, ITERATION_KEY = "system_dynamics_state_dict", "iter"
_ZIP_BEGIN = b"PK\x03\x04"


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
    payload = _bytes(path)
    document = _unpickled(path, payload)
    tensors = document.get(WEIGHTS_KEY) if isinstance(document, dict) else None
    if not isinstance(tensors, dict) or not tensors:
        raise CheckpointError(
            f"{path} holds no world model: it has no tensors under '{WEIGHTS_KEY}'",
            fix="Give a checkpoint that the public code saved with its system dynamics.",
        )
    for name, tensor in tensors.items():
        _require_numbers(path, name, tensor)
    stated = document.get(ITERATION_KEY)
    iteration = stated if isinstance(stated, int) and stated >= 0 else 0
    return ReleasedFile(dict(tensors), iteration, hashlib.sha256(payload).hexdigest())


def released_file_bytes(tensors: dict[str, Tensor], iteration: int) -> bytes:
    """The file that `read_released_file` reads."""
    buffer = io.BytesIO()
    torch.save({WEIGHTS_KEY: tensors, ITERATION_KEY: iteration, "infos": None}, buffer)
    return buffer.getvalue()


def _bytes(path: Path) -> bytes:
    try:
        payload = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{path} can't be read: {error.strerror}", fix="Give the .pt file of the public code."
        ) from None
    if not payload.startswith(_ZIP_BEGIN):
        raise CheckpointError(
            f"{path} is not a torch archive (PyTorch 1.6 or newer)",
            fix="Give the .pt file of the public code.",
        )
    return payload


def _unpickled(path: Path, payload: bytes) -> Any:
    """The archive's document. `torch.load` takes altered numbers as they come, checksums don't."""
    try:
        with zipfile.ZipFile(io.BytesIO(payload)) as archive:
            altered = archive.testzip()
        if altered is None:
            return torch.load(io.BytesIO(payload), weights_only=True, map_location="cpu")
    except Exception as error:  # A damaged archive or pickle raises anything.
        code = re.search(r"GLOBAL\s+([\w.]+)", str(error))
        if code is not None:
            raise CheckpointError(
                f"{path} asks to run {code[1]}, which was not done; allowed are tensors and plain "
                "values",
                fix="Don't trust this file; save the state dictionary alone.",
            ) from None
        raise CheckpointError(
            f"{path} is cut short or damaged: {type(error).__name__} while reading it",
            fix="Copy or download it again.",
        ) from error
    raise CheckpointError(
        f"{path} is damaged: {altered} doesn't have its checksum",
        fix="Copy or download it again.",
    )


def _require_numbers(path: Path, name: object, tensor: object) -> None:
    if not (isinstance(name, str) and isinstance(tensor, Tensor)):
        raise CheckpointError(
            f"{path} holds {name!r} of {type(tensor).__name__} under '{WEIGHTS_KEY}'; allowed are "
            "named tensors",
            fix="Save the module's state dictionary.",
        )
    if tensor.dtype != torch.float32 or tensor.layout != torch.strided:
        raise CheckpointError(
            f"{path}: {name} is {tensor.dtype}, {tensor.layout}; allowed is dense float32",
            fix="Save the module in float32.",
        )
    if not bool(torch.isfinite(tensor).all()):
        raise CheckpointError(
            f"{path}: {name} has a number that is not finite", fix="Use an earlier checkpoint."
        )
