"""Read a bundle's files: each once, as bytes, bounded, and checked by size and SHA-256.

What is read here is what is parsed later, so a file that is swapped in between changes nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rwmu_deploy.contract.errors import BundleError

MANIFEST_NAME = "manifest.json"
MODEL_NAME = "policy.onnx"
WORLD_MODEL_NAME = "world_model.onnx"
REPORT_NAME = "verification.json"
MAX_MANIFEST_BYTES = 1_000_000
"""An ordinary manifest has 0.04 MB."""
MAX_FILE_BYTES = 16_000_000
MAX_FILES = 16

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileFacts:
    """Size and hash of a bundle's file, as its manifest states them."""

    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> FileFacts:
        """Size and hash of a file's content."""
        return cls(len(data), hashlib.sha256(data).hexdigest())


def is_plain_name(name: object) -> bool:
    """Whether a text may be the name of a bundle or of a file in it: no path, no dot alone."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name)) and set(name) != {"."}


def is_sha256(text: object) -> bool:
    """Whether a text is a SHA-256 in lower-case hexadecimal."""
    return isinstance(text, str) and bool(_SHA256.fullmatch(text))


def read_manifest_bytes(folder: Path) -> bytes:
    """The manifest of a bundle, not yet parsed.

    Raises:
        BundleError: No such folder, no manifest, too large, or not a regular file.
    """
    if not folder.is_dir():
        raise BundleError(
            f"there is no bundle folder {folder}",
            fix="Make one with rwmu-export --onnx.",
        )
    return _read_regular_file(folder / MANIFEST_NAME, MAX_MANIFEST_BYTES)


def read_listed_files(folder: Path, listed: Mapping[str, FileFacts]) -> dict[str, bytes]:
    """All files that a manifest lists.

    Raises:
        BundleError: A file is missing, not listed, too large, or differs in size or SHA-256.
    """
    try:
        present = set(os.listdir(folder)) - {MANIFEST_NAME}
    except OSError as error:
        raise _unreadable(folder, error) from None
    if present != set(listed):
        missing, unlisted = sorted(set(listed) - present), sorted(present - set(listed))
        said = [f"misses {', '.join(missing)}"] if missing else []
        said += [f"has {', '.join(unlisted[:5])}, which no manifest lists"] if unlisted else []
        raise BundleError(
            f"bundle {folder} {' and '.join(said)}",
            fix="Copy the whole bundle again, and nothing else into its folder.",
        )
    contents: dict[str, bytes] = {}
    for name, facts in listed.items():
        data = _read_regular_file(folder / name, MAX_FILE_BYTES)
        found = FileFacts.of(data)
        if found != facts:
            raise BundleError(
                f"{folder / name} has {found.size_bytes} bytes, SHA-256 {found.sha256[:12]}..., "
                f"its manifest says {facts.size_bytes}, {facts.sha256[:12]}...",
                fix="The file was altered or is of another bundle: copy the whole bundle again.",
            )
        contents[name] = data
    return contents


def _read_regular_file(path: Path, max_bytes: int) -> bytes:
    try:
        # Without O_NONBLOCK, opening a pipe of that name would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            data = _read_at_most(descriptor, max_bytes + 1) if regular else b""
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unreadable(path, error) from None
    if not regular:
        raise BundleError(f"{path} is not a regular file", fix="Copy the whole bundle again.")
    if len(data) > max_bytes:
        raise BundleError(
            f"{path} has more than {max_bytes} bytes, which is the limit",
            fix="Export the bundle again; an ordinary policy has 0.2 MB.",
        )
    return data


def _read_at_most(descriptor: int, count: int) -> bytes:
    parts: list[bytes] = []
    while count > 0 and (part := os.read(descriptor, min(count, 1 << 20))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _unreadable(path: Path, error: OSError) -> BundleError:
    return BundleError(f"can't read {path}: {error.strerror}", fix="Copy the whole bundle again.")
