"""`rwmu-train --seeds N`: the same training once for each seed, and what the spread is."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rwmu_train.run_folder import SUMMARY, write_json
from rwmu_train.seed_statistics import over_seeds

TrainOne = Callable[[int, Path, str], tuple[dict[str, Any], bool]]
"""Seed, folder and title to a summary, and whether it was there already."""

_COLUMNS = {
    "episode_return": "return",
    "linear_tracking": "linear tracking",
    "yaw_tracking": "yaw tracking",
    "velocity_ratio": "velocity ratio",
    "fall_share": "falls",
}


def train_all(
    options: argparse.Namespace,
    run: Path,
    train_one: TrainOne,
    title: str,
    about: Mapping[str, Any],
) -> tuple[dict[str, Any], bool]:
    """Train one policy in the run's folder or, with --seeds, each seed in a folder of its own.

    Args:
        options: Of the command.
        run: The run's folder.
        train_one: Trains one seed, and writes its summary.
        title: Of a training, for progress bars.
        about: What the summary over seeds says besides.

    Returns:
        The run's summary, and whether it was there already.
    """
    if options.seeds is None:
        return train_one(options.seed, run, title)
    summaries: dict[str, dict[str, Any]] = {}
    finished = True
    for seed, folder in seed_folders(options, run):
        folder.mkdir(exist_ok=True)
        summary, was_there = train_one(seed, folder, f"seed {seed}: {title}")
        summaries[str(seed)] = {k: v for k, v in summary.items() if k not in about}
        finished &= was_there
    statistics = over_seeds([summary["simulated"] for summary in summaries.values()])
    whole = {**about, "seeds": summaries, "over_seeds": statistics}
    write_json(run / SUMMARY, whole)
    return whole, finished


def seed_folders(options: argparse.Namespace, run: Path) -> Iterator[tuple[int, Path]]:
    """Each seed that is asked for, and the folder of its policy."""
    if options.seeds is None:
        yield options.seed, run
        return
    for seed in range(options.seed, options.seed + options.seeds):
        yield seed, run / f"seed_{seed}"


def print_seeds(console: Console, summary: Mapping[str, Any]) -> None:
    """A row for each seed, and mean and spread below."""
    statistics = summary["over_seeds"]
    first = next(iter(summary["seeds"].values()))
    shown = {name: title for name, title in _COLUMNS.items() if name in statistics}
    table = Table(title=f"In the simulated robot ({first['simulated']['variant']})")
    for number, title in enumerate(("seed", "chosen iteration", *shown.values())):
        table.add_column(title, justify="right" if number else "left")
    for seed, own in summary["seeds"].items():
        chosen = own["selection"]["iteration"] if "selection" in own else "last"
        table.add_row(seed, str(chosen), *[_text(own["simulated"][name]) for name in shown])
    table.add_section()
    for row in ("mean", "std", "min", "max"):
        table.add_row(row, "", *[_text(statistics[name][row]) for name in shown])
    console.print(table)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
