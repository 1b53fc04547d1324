"""Say whether a folder of transitions can be trained on, and what to know about it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.transitions.channel_checks import (
    check_actions,
    check_binary_columns,
    check_dead_channels,
    check_frozen_rows,
    check_gravity,
    check_joint_positions,
    check_rates,
)
from rwmu_train.transitions.command_coverage import CommandCoverage, command_coverage
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.duplicates import check_duplicates
from rwmu_train.transitions.findings import Findings
from rwmu_train.transitions.motion_checks import (
    check_gravity_rate,
    check_joint_rates,
    check_stuck_sensors,
)
from rwmu_train.transitions.order_checks import check_joint_order
from rwmu_train.transitions.time_alignment import TimeAlignment, align_actions
from rwmu_train.transitions.windows import window_starts

WINDOW_ROWS = 40
"""32 rows of history and 8 of forecast (RWM, arXiv:2501.10100, table S10)."""
_TORQUE_GAIN_RANGE = (0.7, 1.4)


@dataclass(frozen=True)
class Verdict:
    """What a data set holds, and what is wrong with it."""

    robot: str
    files: int
    rows: int
    rows_by_source: dict[str, int]
    """Rows of "sim", "real" and "unknown" origin."""
    hours: float
    episodes: int
    falls: int
    gaps: int
    """Episodes that end because rows are missing, or because the file ends in their middle."""
    window_rows: int
    windows: int
    usable_window_share: float
    """Windows there are, as a share of those that the rows would have without any boundary."""
    commands: CommandCoverage
    time_alignment: TimeAlignment
    problems: tuple[str, ...]
    """Why the data can't be trained on; empty if they can. Files that were refused are named, and
    the rest is judged without them."""
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the data can be trained on."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"ok": self.ok, **asdict(self)}


def check_dataset(
    places: Path | Sequence[Path],
    spec: RobotSpec,
    *,
    window_rows: int = WINDOW_ROWS,
    actuation_delay_s: float = 0.0,
) -> Verdict:
    """Read folders of transitions and judge them; every file is held against its hash.

    Args:
        places: The folders.
        spec: The robot.
        window_rows: Rows of a window.
        actuation_delay_s: Time by which the robot's drives act late, where sidecars don't say.

    Raises:
        TransitionFileError: No file can be read and trusted.
    """
    dataset = load_dataset(places, spec, leave_out_refused=True, trust_times=False)
    files = tuple(
        replace(file, actuation_delay_s=file.actuation_delay_s or actuation_delay_s)
        for file in dataset.files
    )
    dataset = replace(dataset, files=files)
    return judge(dataset, window_rows=window_rows)


def judge(dataset: TransitionDataset, *, window_rows: int = WINDOW_ROWS) -> Verdict:
    """Judge a whole data set (not a part made by `split`)."""
    windows = len(window_starts(dataset, window_rows))
    coverage = command_coverage(dataset)
    alignment = align_actions(dataset)
    problems = [f"left out: {refused}" for refused in dataset.refused]
    notes = list(dataset.notes)
    for findings in (*_judge_groups(dataset), check_duplicates(dataset)):
        problems += findings.problems
        notes += findings.notes
    if windows == 0:
        problems.append(
            f"no episode has the {window_rows} rows of a window; the longest has "
            f"{dataset.episode_length.max()}: record longer episodes"
        )
    _judge_falls(dataset, problems, notes)
    if 0.0 < coverage.known_share < 1.0:
        notes.append(
            f"the velocity command is unknown in {1.0 - coverage.known_share:.1%} of rows"
        )
    rows_by_source: dict[str, int] = {}
    for file in dataset.files:
        count = rows_by_source.get(file.source, 0)
        rows_by_source[file.source] = count + file.row_count
    rows = dataset.row_count
    return Verdict(
        robot=dataset.spec.name,
        files=len(dataset.files),
        rows=rows,
        rows_by_source=rows_by_source,
        hours=rows * dataset.spec.control_dt_s / 3600.0,
        episodes=len(dataset.episode_start),
        falls=dataset.episode_end_kind.count("terminated"),
        gaps=dataset.episode_end_kind.count("gap"),
        window_rows=window_rows,
        windows=windows,
        usable_window_share=windows / max(rows - window_rows + 1, 1),
        commands=coverage,
        time_alignment=alignment,
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _judge_falls(dataset: TransitionDataset, problems: list[str], notes: list[str]) -> None:
    flag = dataset.terminations[dataset.episode_end - 1, 0] == 1.0
    terminated = np.array([kind == "terminated" for kind in dataset.episode_end_kind])
    unmarked = int(np.sum(terminated & ~flag))
    if unmarked:
        problems.append(
            f"{unmarked} episodes end as terminated, but their last row's termination flag is 0: "
            "write 1 on the row in which the robot fell"
        )
    if not flag.any():
        notes.append("no fall in the data: a world model can't learn from them when robots fall")


def _judge_groups(dataset: TransitionDataset) -> Iterator[Findings]:
    """Findings about files that one writer wrote in one way, group by group.

    A wrong file among many right ones would not show in what they have in common.
    """
    groups = _groups(dataset)
    for first, end in groups:
        part = dataset.of_files(first, end)
        for check in CHECKS:
            found = check(part)
            if len(groups) == 1:
                yield found
            else:
                name = part.files[0].path.name
                where = name if end - first == 1 else f"{name} to {part.files[-1].path.name}"
                yield Findings(
                    tuple(f"{where}: {problem}" for problem in found.problems),
                    tuple(f"{where}: {note}" for note in found.notes),
                )


def _groups(dataset: TransitionDataset) -> list[tuple[int, int]]:
    """Runs [first, end) of files of one origin in one folder; without a sidecar, each its own."""
    files = dataset.files
    bounds = [0] + [
        i
        for i in range(1, len(files))
        if not files[i].origin
        or (files[i].origin, files[i].path.parent)
        != (files[i - 1].origin, files[i - 1].path.parent)
    ]
    return list(itertools.pairwise([*bounds, len(files)]))


def check_alignment(dataset: TransitionDataset) -> Findings:
    """Row t holds the action that produced state t, for every joint."""
    alignment = align_actions(dataset)
    problems: list[str] = []
    notes: list[str] = []
    rule = "row t must hold the action that PRODUCED state t"
    if alignment.status == "misaligned":
        after = alignment.best_shift == 1
        problems.append(
            f"time alignment ({alignment.evidence}): a row's state is explained by the action of "
            f"the row {'after' if after else 'before'} it; {rule}: "
            f"move the actions one row {'up' if after else 'down'}"
            + ("" if after else ", or name the drives' delay if they are that late")
        )
    if alignment.shifted_joints:
        side = {-1: "the row before", 0: "the row itself", 1: "the row after"}
        joints = ", ".join(f"{j} by {side[s]}" for j, s in alignment.shifted_joints.items())
        problems.append(
            f"time alignment ({alignment.evidence}): action columns are shifted against the "
            f"others: states are explained for {joints}; {rule}"
        )
    if alignment.status == "undecided":
        notes.append(
            "time alignment can't be decided from these data: actions vary too little, or "
            "neighbouring rows' actions explain the states equally well"
        )
    ratio, (lowest, highest) = alignment.torque_gain_ratio, _TORQUE_GAIN_RANGE
    if ratio is not None and not lowest <= ratio <= highest:
        notes.append(
            f"torque per unit of action is {ratio:.2f} times the robot's kp * action scale: other "
            "gains, another action scale, or torques that are not joint torques"
        )
    return Findings(tuple(problems), tuple(notes))


CHECKS: tuple[Callable[[TransitionDataset], Findings], ...] = (
    check_gravity,
    check_gravity_rate,
    check_joint_positions,
    check_rates,
    check_joint_rates,
    check_actions,
    check_binary_columns,
    check_dead_channels,
    check_stuck_sensors,
    check_frozen_rows,
    check_joint_order,
    check_alignment,
)
