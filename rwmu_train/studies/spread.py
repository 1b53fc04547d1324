"""Mean and spread over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rwmu_train.studies.cell import Cell


@dataclass(frozen=True)
class Spread:
    """A figure over the seeds of a group."""

    values: tuple[float, ...]
    """In the order of the seeds that are done, at least one."""

    @property
    def mean(self) -> float:
        """Over seeds."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation over seeds; None with one seed."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class GroupFigures:
    """What the cells of a group found."""

    group: str
    count: int
    """Cells that are done."""
    cells: int
    """All cells."""
    figures: Mapping[str, Spread]


def group_figures(
    cells: Sequence[Cell], figures: Mapping[str, Mapping[str, float] | None]
) -> list[GroupFigures]:
    """Gather the figures of cells, by name of the cell, over seeds; groups in order of the cells.

    A figure that only some cells of a group have is gathered over those.
    """
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.group, []).append(cell)
    gathered = []
    for group, members in groups.items():
        done = [found for cell in members if (found := figures[cell.name]) is not None]
        names = dict.fromkeys(name for found in done for name in found)
        spreads = {
            name: Spread(tuple(found[name] for found in done if name in found)) for name in names
        }
        gathered.append(GroupFigures(group, len(done), len(members), spreads))
    return gathered
