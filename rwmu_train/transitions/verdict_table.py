"""Show a verdict and channel statistics as tables for people."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.verdict import Verdict


def print_verdict(console: Console, verdict: Verdict) -> None:
    """What the data hold, then problems, notes and the verdict, one a line."""
    commands, alignment = verdict.commands, verdict.time_alignment
    sources = ", ".join(f"{count} {source}" for source, count in verdict.rows_by_source.items())
    ranges = ", ".join(
        f"{axis} {low:+.2f} to {commands.highest[axis]:+.2f}"
        for axis, low in commands.lowest.items()
    )
    table = Table(title=f"Transitions of {verdict.robot}", show_header=False)
    lines = [
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
    for name, value in lines:
        table.add_row(name, value)
    console.print(table)
    for problem in verdict.problems:
        console.print(Text(f"problem: {problem}", style="red"), soft_wrap=True)
    for note in verdict.notes:
        console.print(Text(f"note: {note}", style="yellow"), soft_wrap=True)
    said, style = ("usable", "bold green") if verdict.ok else ("NOT usable", "bold red")
    console.print(Text(f"verdict: {said}", style=style))


def channel_rows(dataset: TransitionDataset) -> list[dict[str, float | str]]:
    """Name, unit, mean, std, minimum and maximum of every column."""
    rows: list[dict[str, float | str]] = []
    for block in dataset.columns.blocks:
        values = dataset.rows[:, block.slice]
        mean, std = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
        low, high = values.min(axis=0), values.max(axis=0)
        rows += [
            {
                "column": dataset.columns.label(block.start + i),
                "unit": block.unit,
                "mean": float(mean[i]),
                "std": float(std[i]),
                "min": float(low[i]),
                "max": float(high[i]),
            }
            for i in range(block.size)
        ]
    return rows


def channel_table(dataset: TransitionDataset) -> Table:
    """Statistics of every column."""
    table = Table(title=f"{dataset.row_count} rows of {dataset.spec.name}")
    for name in ("column", "unit", "mean", "std", "min", "max"):
        is_text = name in ("column", "unit")
        table.add_column(name, justify="left" if is_text else "right", overflow="fold")
    for row in channel_rows(dataset):
        table.add_row(*(escape(v) if isinstance(v, str) else f"{v:.4g}" for v in row.values()))
    return table
