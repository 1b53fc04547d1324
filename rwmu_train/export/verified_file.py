"""One file that has its name only after it was read back and found to be right."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rwmu_deploy.contract.bundle_files import MANIFEST_NAME
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.whole_file import write_whole

T = TypeVar("T")


def require_free_file(option: str, path: Path) -> None:
    """Refuse a place that is taken, or inside a bundle: its loader takes no other file there.

    Raises:
        ConfigError: It is one.
    """
    if os.path.lexists(path):
        raise ConfigError(f"{option} {path} is there already", fix="Name a new file.")
    if os.path.lexists(path.parent / MANIFEST_NAME):
        raise ConfigError(
            f"{option} {path} is inside a bundle, and a robot refuses a bundle with another file",
            fix="Name a file beside the bundle's folder.",
        )


def write_verified(option: str, path: Path, content: bytes, check: Callable[[Path], T]) -> T:
    """Write a file that `check`, given the path of a copy, doesn't raise about.

    Args:
        option: What named the file, such as "--jit", for the error.
        path: The new file.
        content: What is in it.
        check: Reads the copy back.

    Raises:
        ConfigError: The file is there, is inside a bundle, or can't be written.
        Exception: What `check` raises; no file is left then.
    """
    require_free_file(option, path)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as aside:
            copy = Path(aside) / path.name
            write_whole(copy, content)
            checked = check(copy)
            os.replace(copy, path)
    except OSError as error:
        raise ConfigError(
            f"{option} {path} can't be written: {error.strerror}",
            fix="Name a file in a folder you may write.",
        ) from error
    return checked
