"""Write what a command was asked to leave behind, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.whole_file import write_whole


def write_output(option: str, path: Path, content: bytes) -> None:
    """Write a file, replacing what an earlier run left there.

    Raises:
        ConfigError: It can't be written; `option` is what named it, such as "--json".
    """
    try:
        write_whole(path, content)
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
