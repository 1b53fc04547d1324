"""One folder per training run: resolved configuration, checkpoints, events, summary."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.whole_file import write_whole

CONFIG, SUMMARY = "config.json", "summary.json"


def create_run_folder(folder: Path, *, resume: bool = False) -> Path:
    """Make a folder for a run.

    Raises:
        ConfigError: It holds a run already, or its name can't be a run's name.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", folder.name):
        raise ConfigError(
            f"run name '{folder.name}'; allowed are up to 64 of A-Z a-z 0-9 . _ -",
            fix="Rename the run.",
        )
    if (folder / CONFIG).exists() and not resume:
        raise ConfigError(
            f"{folder} holds a run already", fix="Name another folder, or pass --resume."
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_json(path: Path, document: Any) -> None:
    """Write a JSON file whole; dataclasses become mappings, infinities become text."""
    write_whole(path, json_text(document).encode())


def json_text(document: Any) -> str:
    """What `write_json` writes."""
    return json.dumps(_plain(document), indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Path):
        return str(value)
    return value
