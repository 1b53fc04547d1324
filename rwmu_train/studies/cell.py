"""A cell of a study: one training and its judgement, in a folder of its own.

`settings.json` is written when a cell begins, `result.json` when it is done, each whole. So a
study that was interrupted at any moment goes on with the cells that have no result.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rwmu_deploy.contract.errors import ConfigError, RwmuError
from rwmu_train.run_folder import json_text, write_json

CELLS, SETTINGS, RESULT, ERROR = "cells", "settings.json", "result.json", "error.json"

OnStage = Callable[[str, int, int], None]
"""Told what a cell is doing, how much of it is done, and of how much."""
Figures = Mapping[str, float]


class Work(Protocol):
    """What a cell does."""

    def settings(self) -> Mapping[str, Any]:
        """All that the figures depend on besides the seed; files by their hashes."""
        ...

    def figures(self, folder: Path, seed: int, on_stage: OnStage | None) -> Figures:
        """Do it. `folder` may hold what an interrupted attempt with the same settings left."""
        ...


@dataclass(frozen=True)
class Cell:
    """One run of a study."""

    group: str
    """What it has in common with the runs of other seeds: a row of the study's table."""
    slug: str
    """The group as part of a folder's name."""
    seed: int
    work: Work
    follows: str | None = None
    """Name of the cell that has to be done first, since this one uses what it made."""

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.slug}-seed_{self.seed}"

    def folder(self, study: Path) -> Path:
        """Where it is run."""
        return study / CELLS / self.name

    def settings(self) -> dict[str, Any]:
        """As they are written: JSON values."""
        return json.loads(json_text({"seed": self.seed, **self.work.settings()}))


def figures_of(study: Path, cell: Cell) -> dict[str, float] | None:
    """What a cell found; None as long as it is not done."""
    document = _read(cell.folder(study) / RESULT)
    # Infinities and NaN stand there as text.
    return None if document is None else {name: float(v) for name, v in document.items()}


def error_of(study: Path, cell: Cell) -> str | None:
    """Why a cell failed when it was last tried; None if it did not."""
    document = _read(cell.folder(study) / ERROR)
    return None if document is None else str(document["error"])


def refuse_other_settings(study: Path, cells: Sequence[Cell]) -> None:
    """Check that what the study's folder holds of these cells was made with these settings.

    Raises:
        ConfigError: A cell was begun with others.
    """
    for cell in cells:
        path = cell.folder(study) / SETTINGS
        theirs = _read(path)
        if theirs is None:
            continue
        difference = _first_difference(theirs, cell.settings())
        if difference is not None:
            name, old, new = difference
            raise ConfigError(
                f"{path} has {name} {old}; now it is {new}",
                fix="Run the study with the settings that it was begun with, or name a new --out.",
            )


def run_cell(study: Path, cell: Cell, on_stage: OnStage | None = None) -> None:
    """Do a cell's work and keep its figures, or the reason why there are none."""
    folder = cell.folder(study)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / SETTINGS, cell.settings())
    try:
        _refuse_unfinished(study, cell.follows)
        figures = cell.work.figures(folder, cell.seed, on_stage)
    except RwmuError as error:
        write_json(folder / ERROR, {"error": str(error)})
        return
    (folder / ERROR).unlink(missing_ok=True)
    write_json(folder / RESULT, dict(figures))


def _refuse_unfinished(study: Path, name: str | None) -> None:
    # What a cell made that was stopped or failed may be half done.
    if name is not None and not (study / CELLS / name / RESULT).is_file():
        raise ConfigError(
            f"{name} is not done, and this cell uses what it makes",
            fix="See why it failed, then run the study again.",
        )


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} can't be read: {error}", fix="Delete the cell's folder; it is run again."
        ) from None


def _first_difference(old: Any, new: Any, name: str = "") -> tuple[str, Any, Any] | None:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return None if old == new else (name, old, new)
    for key in (*old, *(key for key in new if key not in old)):
        inner = f"{name}.{key}" if name else key
        found = _first_difference(old.get(key), new.get(key), inner)
        if found is not None:
            return found
    return None
