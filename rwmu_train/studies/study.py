"""Run the cells of a study that are not done yet, and write down what all of them found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rwmu_deploy.contract.whole_file import write_whole
from rwmu_train.policy.policy_checkpoint import installed_versions
from rwmu_train.run_folder import write_json
from rwmu_train.studies.cell import (
    Cell,
    OnStage,
    error_of,
    figures_of,
    refuse_other_settings,
    run_cell,
)
from rwmu_train.studies.job_runner import JobRunner
from rwmu_train.studies.results_table import Measure, ResultsTable, results_table
from rwmu_train.studies.spread import GroupFigures, group_figures

STUDY, RESULTS, PICTURE = "study.json", "results.md", "figure.png"


@dataclass(frozen=True)
class Study:
    """A question, the cells that answer it, and how the answer is shown."""

    name: str
    title: str
    row_title: str
    """What tells the rows of its table apart."""
    cells: Sequence[Cell]
    measures: Sequence[Measure]
    draw: Callable[[Sequence[GroupFigures]], bytes]
    """A PNG file's bytes."""
    notes: Sequence[str] = ()
    """Sentences below the table: what its figures mean."""
    facts: Mapping[str, Any] | None = None
    """What else goes into study.json."""


def run_study(
    study: Study,
    folder: Path,
    runner: JobRunner,
    command: Mapping[str, Any],
    *,
    on_begin: Callable[[int, int], None] | None = None,
    on_stage: Callable[[str, str, int, int], None] | None = None,
    on_cell: Callable[[Cell, str | None], None] | None = None,
) -> list[GroupFigures]:
    """Run what is not done and report after every cell; cells that failed are tried again.

    Args:
        study: What to do.
        folder: Where cells, figures and tables go.
        runner: How cells are run.
        command: The command's options, for study.json.
        on_begin: Told how many cells are done already, and of how many.
        on_stage: Told a cell's name and how far it is, where cells run in this process.
        on_cell: Told every cell that ended, and why it failed, if it did.

    Raises:
        ConfigError: The folder holds cells of other settings.
    """
    refuse_other_settings(folder, study.cells)
    left = [cell for cell in study.cells if figures_of(folder, cell) is None]
    folder.mkdir(parents=True, exist_ok=True)
    if on_begin is not None:
        on_begin(len(study.cells) - len(left), len(study.cells))

    def stage(cell: Cell) -> OnStage | None:
        return None if on_stage is None or not runner.here else partial(on_stage, cell.name)

    groups = write_results(study, folder, command)
    first = [cell for cell in left if cell.follows is None]
    for now in (first, [cell for cell in left if cell.follows is not None]):
        jobs = [partial(run_cell, folder.resolve(), cell, stage(cell)) for cell in now]
        for number in runner.run_all(jobs):
            groups = write_results(study, folder, command)
            if on_cell is not None:
                on_cell(now[number], error_of(folder, now[number]))
    return groups


def table_of(study: Study, groups: Sequence[GroupFigures]) -> ResultsTable:
    """The study's table."""
    return results_table(study.title, study.row_title, study.measures, groups)


def write_results(study: Study, folder: Path, command: Mapping[str, Any]) -> list[GroupFigures]:
    """Write study.json, the Markdown table and the picture, of the cells that are done."""
    figures = {cell.name: figures_of(folder, cell) for cell in study.cells}
    groups = group_figures(study.cells, figures)
    document = {
        "study": study.name,
        "command": dict(command),
        "versions": installed_versions(),
        **(study.facts or {}),
        "groups": [
            {
                "group": group.group,
                "cells_done": group.count,
                "cells": group.cells,
                "figures": {
                    name: {"mean": s.mean, "deviation": s.deviation, "values": s.values}
                    for name, s in group.figures.items()
                },
            }
            for group in groups
        ],
        "cells": [
            {
                "name": cell.name,
                "group": cell.group,
                "seed": cell.seed,
                "figures": figures[cell.name],
                "error": error_of(folder, cell),
                "settings": cell.settings(),
            }
            for cell in study.cells
        ],
    }
    write_json(folder / STUDY, document)
    said = "\n".join(study.notes)
    text = f"## {study.title}\n\n{table_of(study, groups).to_markdown()}\n{said}\n"
    write_whole(folder / RESULTS, text.encode())
    if any(group.count for group in groups):
        write_whole(folder / PICTURE, study.draw(groups))
    return groups
