"""Write what a command was asked to leave behind, whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rwmu_deploy.contract.errors import ConfigError


def write_output(option: str, path: Path, content: bytes) -> None:
    """Write a file, replacing what an earlier run left there.

    Raises:
        ConfigError: It can't be written; `option` is what named it, such as "--json".
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise ConfigError(
            f"{option} {path} can't be written: {error.strerror}",
            fix="Name a file in a folder you may write.",
        ) from error


def write_json(path: Path | None, document: dict[str, Any]) -> None:
    """Write the document of `--json`, if that was given.

    Raises:
        ConfigError: The file can't be written.
    """
    if path is not None:
        text = json.dumps(document, indent=1, allow_nan=False) + "\n"
        write_output("--json", path, text.encode())
