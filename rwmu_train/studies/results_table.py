"""A study's table: for the terminal, and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from rwmu_train.studies.spread import GroupFigures, Spread


@dataclass(frozen=True)
class Measure:
    """A column."""

    name: str
    """Of the figure in a cell's result."""
    title: str
    """With its unit."""
    digits: int = 2
    percent: bool = False

    def words(self, spread: Spread | None) -> str:
        """Mean ± standard deviation over seeds; the mean alone with one seed."""
        if spread is None:
            return "-"
        numbers = [spread.mean, *([] if spread.deviation is None else [spread.deviation])]
        factor, unit = (100.0, " %") if self.percent else (1.0, "")
        return " ± ".join(f"{factor * number:.{self.digits}f}" for number in numbers) + unit


IMAGINED = (
    Measure("imagined_reward_per_s", "imagined [1/s]", 3),
    Measure("uncertainty", "uncertainty", 3),
)
JUDGED = (
    Measure("reward_per_s", "true [1/s]", 3),
    Measure("episode_return", "return"),
    Measure("fall_share", "falls", 1, percent=True),
    Measure("linear_tracking", "linear", 3),
    Measure("yaw_tracking", "yaw", 3),
    Measure("velocity_ratio", "v ratio"),
)


@dataclass(frozen=True)
class ResultsTable:
    """Words in rows and columns."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_markdown(self) -> str:
        """A table of GitHub's Markdown."""
        marks = ["---", *(["---:"] * (len(self.header) - 1))]
        lines = (self.header, marks, *self.rows)
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def to_rich(self) -> Table:
        """For a terminal."""
        table = Table(title=self.title, title_justify="left")
        for number, title in enumerate(self.header):
            table.add_column(title, justify="right" if number else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        return table


def results_table(
    title: str, row_title: str, measures: Sequence[Measure], groups: Sequence[GroupFigures]
) -> ResultsTable:
    """One row a group, one column a measure, and how many seeds are done."""
    return ResultsTable(
        title,
        (row_title, *(measure.title for measure in measures), "seeds"),
        tuple(
            (
                group.group,
                *(measure.words(group.figures.get(measure.name)) for measure in measures),
                f"{group.count}" if group.count == group.cells else f"{group.count}/{group.cells}",
            )
            for group in groups
        ),
    )
