"""Show a verdict and channel statistics as tables for people."""

from __future__ import annotations

import numpy as np
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.verdict import Verdict

_QUANTILES = {"min": 0.0, "q01": 0.01, "median": 0.5, "q99": 0.99, "max": 1.0}


def summary_lines(verdict: Verdict) -> list[tuple[str, str]]:
    """What the data hold: names and values for people."""
    commands, alignment = verdict.commands, verdict.time_alignment
    sources = ", ".join(f"{count} {source}" for source, count in verdict.rows_by_source.items())
    ranges = ", ".join(
        f"{axis} {low:+.2f} to {commands.highest[axis]:+.2f}"
        for axis, low in commands.lowest.items()
    )
    return [
        ("files", str(verdict.files)),
        ("rows", f"{verdict.rows} ({sources}), {verdict.hours:.2f} h"),
        ("episodes", f"{verdict.episodes}: {verdict.falls} falls, {verdict.gaps} cut by a gap"),
        (
            f"windows of {verdict.window_rows} rows",
            f"{verdict.windows} ({verdict.usable_window_share:.1%} usable)",
        ),
        ("velocity commands known", f"{commands.known_share:.1%}"),
        ("command range", ranges or "unknown"),
        ("command cells with data", f"{commands.occupied_share:.0%}"),
        ("standing", f"{commands.standing_share:.1%} of known commands"),
        ("time alignment", f"{alignment.status} (evidence: {alignment.evidence})"),
    ]


def print_verdict(console: Console, verdict: Verdict) -> None:
    """What the data hold, then problems, notes and the verdict, one a line."""
    table = Table(title=f"Transitions of {verdict.robot}", show_header=False)
    for name, value in summary_lines(verdict):
        table.add_row(name, value)
    console.print(table)
    for problem in verdict.problems:
        console.print(Text(f"problem: {problem}", style="red"), soft_wrap=True)
    for note in verdict.notes:
        console.print(Text(f"note: {note}", style="yellow"), soft_wrap=True)
    said, style = ("usable", "bold green") if verdict.ok else ("NOT usable", "bold red")
    console.print(Text(f"verdict: {said}", style=style))


def channel_rows(dataset: TransitionDataset) -> list[dict[str, float | str]]:
    """Name, unit, mean, std and quantiles of every column, for JSON and tables."""
    rows: list[dict[str, float | str]] = []
    for block in dataset.columns.blocks:
        values = dataset.rows[:, block.slice]
        mean, std = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
        quantiles = np.quantile(values, list(_QUANTILES.values()), axis=0)
        rows += [
            {
                "column": dataset.columns.label(block.start + i),
                "unit": block.unit,
                "mean": float(mean[i]),
                "std": float(std[i]),
                **dict(zip(_QUANTILES, quantiles[:, i].tolist(), strict=True)),
            }
            for i in range(block.size)
        ]
    return rows


def channel_table(dataset: TransitionDataset) -> Group:
    """Statistics of every column, block by block."""
    tables: list[Table] = []
    rows = channel_rows(dataset)
    for block in dataset.columns.blocks:
        table = Table(
            title=Text(f"{block.name} [{block.unit}]", style="bold"),
            title_justify="left",
            box=None,
            pad_edge=False,
        )
        table.add_column("", min_width=10)
        for name in ("mean", "std", *_QUANTILES):
            table.add_column(name, justify="right", min_width=8)
        for label, row in zip(block.labels, rows[block.slice], strict=True):
            table.add_row(Text(label), *(f"{v:.3g}" for v in row.values() if isinstance(v, float)))
        if block.labels:
            tables.append(table)
    return Group(f"{dataset.row_count} rows of {dataset.spec.name}", *tables)
