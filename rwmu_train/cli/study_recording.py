"""Record the data of a study, with a progress bar, and say what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.studies.recorded_sets import SetToRecord, recorded
from rwmu_train.task.velocity_task import VelocityTask
from rwmu_train.transitions.dataset_loading import load_dataset

RecordedSet = tuple[Path, tuple[str, ...]]
"""A folder, and the hashes of its files."""


def record_sets(
    wanted: Mapping[str, SetToRecord], out: Path, spec: RobotSpec, task: VelocityTask
) -> tuple[dict[str, RecordedSet], dict[str, Any]]:
    """Record those that are not there under `out`/data.

    Returns:
        The sets by name, and how many rows, episodes and falls each holds.
    """
    found: dict[str, RecordedSet] = {}
    facts: dict[str, Any] = {}
    console = Console(markup=False, soft_wrap=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        for name, one in wanted.items():
            bar = progress.add_task(f"recording {name}", total=None)
            folder = recorded(
                one,
                (out / "data" / name).resolve(),
                spec,
                task,
                lambda done, total, bar=bar: progress.update(bar, completed=done, total=total),
            )
            progress.remove_task(bar)
            dataset = load_dataset(folder, spec)
            falls = int(np.sum(np.array(dataset.episode_end_kind) == "terminated"))
            episodes = len(dataset.episode_end_kind)
            found[name] = (folder, dataset.file_sha256)
            facts[name] = {
                "set": one.name,
                "variant": one.variant.name,
                "rows": dataset.row_count,
                "episodes": episodes,
                "falls": falls,
            }
            progress.console.print(
                f"data {name}: {dataset.row_count:,} rows of {one.name} in the "
                f"{one.variant.name} robot, {falls:,} of {episodes:,} episodes end in a fall"
            )
    return found, facts
