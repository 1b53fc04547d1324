"""Read a torch archive of somebody else's: tensors and plain values, and no code is run."""

from __future__ import annotations

import io
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rwmu_deploy.contract.errors import CheckpointError

MAX_BYTES = 256_000_000
_ZIP_BEGIN = b"PK\x03\x04"


def read_archive(path: Path, *, wanted: str) -> tuple[Any, bytes]:
    """The document of an archive, on the CPU, and the file's bytes.

    Args:
        path: The file.
        wanted: What it should be, for the error ("the .pt file of the public code").

    Raises:
        CheckpointError: The file is missing, larger than 256 MB, cut short, not a torch archive,
            or asks for code to be run.
    """
    payload = _bytes(path, wanted)
    return _unpickled(path, payload), payload


def require_numbers(path: Path, place: str, name: object, tensor: object) -> None:
    """Refuse what is not a named, dense, finite float32 tensor.

    Args:
        path: The file.
        place: The key in its document under which the tensor stands.
        name: The tensor's name there.
        tensor: What stands under that name.

    Raises:
        CheckpointError: It is not.
    """
    if not (isinstance(name, str) and isinstance(tensor, Tensor)):
        raise CheckpointError(
            f"{path} holds {name!r} of {type(tensor).__name__} under '{place}'; allowed are "
            "named tensors",
            fix="Save the module's state dictionary.",
        )
    if tensor.dtype != torch.float32 or tensor.layout != torch.strided:
        raise CheckpointError(
            f"{path}: {name} is {tensor.dtype}, {tensor.layout}; allowed is dense float32",
            fix="Save the module in float32.",
        )
    # A few stored numbers can be declared as a tensor larger than memory.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise CheckpointError(
            f"{path}: {name} declares {tensor.numel()} numbers and holds fewer",
            fix="Save the module's state dictionary.",
        )
    if not bool(torch.isfinite(tensor).all()):
        raise CheckpointError(
            f"{path}: {name} has a number that is not finite", fix="Use an earlier checkpoint."
        )


def _bytes(path: Path, wanted: str) -> bytes:
    try:
        with path.open("rb") as file:
            too_large = os.fstat(file.fileno()).st_size > MAX_BYTES
            payload = b"" if too_large else file.read(MAX_BYTES)
    except OSError as error:
        raise CheckpointError(
            f"{path} can't be read: {error.strerror}", fix=f"Give {wanted}."
        ) from None
    if too_large:
        raise CheckpointError(
            f"{path} has more than {MAX_BYTES} bytes, the limit", fix=f"Give {wanted}."
        )
    if not payload.startswith(_ZIP_BEGIN):
        raise CheckpointError(
            f"{path} is not a torch archive (PyTorch 1.6 or newer)", fix=f"Give {wanted}."
        )
    return payload


def _unpickled(path: Path, payload: bytes) -> Any:
    """The archive's document. `torch.load` takes altered numbers as they come, checksums don't."""
    try:
        with zipfile.ZipFile(io.BytesIO(payload)) as archive:
            packed = [
                entry.filename
                for entry in archive.infolist()
                if entry.compress_type != zipfile.ZIP_STORED
            ]
            altered = None if packed else archive.testzip()
        if not packed and altered is None:
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
    if packed:
        # torch.save never compresses, and a few bytes can unpack to more than memory holds.
        raise CheckpointError(
            f"{path} is not as torch.save writes it: {packed[0]} is compressed",
            fix="Save it again with torch.save.",
        )
    raise CheckpointError(
        f"{path} is damaged: {altered} doesn't have its checksum",
        fix="Copy or download it again.",
    )
