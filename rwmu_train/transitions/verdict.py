"""Say whether a folder of transitions can be trained on, and what to know about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.transitions.channel_checks import CHANNEL_CHECKS
from rwmu_train.transitions.command_coverage import CommandCoverage, command_coverage
from rwmu_train.transitions.dataset import TransitionDataset, load_dataset
from rwmu_train.transitions.joint_pairing import mispaired_joints
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
    """Why the data can't be trained on; empty if they can."""
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the data can be trained on."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"ok": self.ok, **asdict(self)}


def check_dataset(
    places: Path | Sequence[Path], spec: RobotSpec, *, window_rows: int = WINDOW_ROWS
) -> Verdict:
    """Read folders of transitions and judge them.

    Raises:
        TransitionFileError: A file can't be read or trusted at all.
    """
    return judge(load_dataset(places, spec), window_rows=window_rows)


def judge(dataset: TransitionDataset, *, window_rows: int = WINDOW_ROWS) -> Verdict:
    """Judge a whole data set (not a part made by `split`)."""
    windows = len(window_starts(dataset, window_rows))
    coverage = command_coverage(dataset)
    alignment = align_actions(dataset)
    findings = [check(dataset) for check in CHANNEL_CHECKS]
    problems = [problem for finding in findings for problem in finding.problems]
    notes = [*dataset.notes, *(note for finding in findings for note in finding.notes)]
    if windows == 0:
        problems.append(
            f"no episode has the {window_rows} rows of a window; the longest has "
            f"{dataset.episode_length.max()}: record longer episodes"
        )
    _judge_falls(dataset, problems, notes)
    _judge_alignment(alignment, problems, notes)
    mispaired = mispaired_joints(dataset)
    if mispaired:
        pairs = ", ".join(f"{joint} by action[{action}]" for joint, action in mispaired.items())
        problems.append(
            f"actions and states are in different joint orders: torques are explained for "
            f"{pairs}; write both in the order of robot.yaml"
        )
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


def _judge_alignment(alignment: TimeAlignment, problems: list[str], notes: list[str]) -> None:
    if alignment.status == "misaligned":
        after = alignment.best_shift == 1
        problems.append(
            f"time alignment ({alignment.evidence}): a row's state is explained by the action of "
            f"the row {'after' if after else 'before'} it; row t must hold the action that "
            f"PRODUCED state t: move the actions one row {'up' if after else 'down'}"
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
