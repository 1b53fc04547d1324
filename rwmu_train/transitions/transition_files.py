"""Find and read transition files: rows, and the episodes they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.collection.segment_files import SegmentPaths, segment_indices
from rwmu_deploy.collection.transition_segment import EpisodeSpan
from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.transitions.row_cache import cached_csv_rows
from rwmu_train.transitions.sidecar import read_sidecar

EpisodeEnd = Literal["terminated", "truncated", "gap"]


@dataclass(frozen=True)
class TransitionFile:
    """One CSV, read. N = rows, E = episodes, C = columns."""

    path: Path
    sha256: str
    rows: NDArray[np.float32]
    """Shape (N, C)."""
    episode_start: NDArray[np.int64]
    """First row of each episode, shape (E,)."""
    episode_end: NDArray[np.int64]
    """Row after the last one of each episode, shape (E,)."""
    episode_end_kind: tuple[EpisodeEnd, ...]
    """How each episode ended; a file that stops in the middle of one ends it as a gap."""
    velocity_command: NDArray[np.float32]
    """vx [m/s], vy [m/s], wz [rad/s], shape (N, 3); NaN where it is not known."""
    meta: dict[str, Any] | None
    """The sidecar's document, or None without a sidecar."""
    notes: tuple[str, ...]
    actuation_delay_s: float = 0.0
    """Time by which the drives are known to act late."""


def find_transition_files(place: Path) -> tuple[list[Path], list[str]]:
    """CSV files of a folder in numeric order, or the one file that `place` is.

    Returns:
        The paths, and notes about holes in the numbering.

    Raises:
        TransitionFileError: There is no such place, or no state_action_data_{i}.csv in it.
    """
    if place.is_file():
        return [place], []
    if not place.is_dir():
        raise TransitionFileError(
            f"there is no file or folder {place}",
            fix="Give a folder with state_action_data_0.csv in it.",
        )
    indices = segment_indices(place)
    if not indices:
        raise TransitionFileError(
            f"{place} holds no file named state_action_data_0.csv, state_action_data_1.csv, ...",
            fix="Record data there first, or name the files so.",
        )
    missing = sorted(set(range(indices[-1])) - set(indices))
    shown = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
    notes = [f"{place}: numbers {shown} are missing between the files"] if missing else []
    return [SegmentPaths.of(place, index).csv for index in indices], notes


def read_transition_file(
    path: Path, spec: RobotSpec, *, trust_times: bool = True
) -> TransitionFile:
    """Read one CSV and its sidecar.

    Without a sidecar an episode ends only where the termination flag is 1, and commands are NaN.

    Args:
        path: The CSV.
        spec: The robot.
        trust_times: As in `cached_csv_rows`.

    Raises:
        TransitionFileError: The CSV or its sidecar can't be read or trusted.
    """
    columns = TransitionColumns.of(spec)
    rows, sha256 = cached_csv_rows(path, columns, trust_times=trust_times)
    fell = _terminations(path, rows, columns)
    sidecar = read_sidecar(path, spec, csv_sha256=sha256, row_count=len(rows))
    if sidecar is None:
        unknown = (np.nan, np.nan, np.nan)
        spans: Sequence[EpisodeSpan] = [EpisodeSpan(0, len(rows) - 1, "continues", unknown)]
        notes = (
            f"{path.name} has no sidecar: velocity commands are unknown, and resets that carry no "
            "termination flag can't be seen",
        )
    else:
        spans, notes = sidecar.spans, sidecar.notes
    end, kinds = _episode_ends(spans, fell)
    hidden = len(end) - sum(span.end != "continues" for span in spans[:-1]) - 1
    if sidecar is not None and hidden > 0:
        notes = (*notes, f"{path.name}: {hidden} falls in mid-span end an episode there")
    counts = [span.last_row - span.first_row + 1 for span in spans]
    commands = np.array([span.velocity_command for span in spans], dtype=np.float32)
    return TransitionFile(
        path=path,
        sha256=sha256,
        rows=rows,
        episode_start=np.concatenate([np.zeros(1, dtype=np.int64), end[:-1]]),
        episode_end=end,
        episode_end_kind=kinds,
        velocity_command=np.repeat(commands, counts, axis=0),
        meta=sidecar.meta if sidecar else None,
        notes=notes,
        actuation_delay_s=sidecar.actuation_delay_s if sidecar else 0.0,
    )


def _terminations(
    path: Path, rows: NDArray[np.float32], columns: TransitionColumns
) -> NDArray[np.bool_]:
    column = columns.termination.start
    flags = rows[:, column]
    allowed = (flags == 0.0) | (flags == 1.0)
    if not allowed.all():
        row = int(np.argmin(allowed))
        raise TransitionFileError(
            f"{path}: row {row} (line {row + 1}), {columns.label(column)} is {flags[row]:g}; "
            "allowed is 0 or 1",
            fix="Check that the columns are in the order of TransitionColumns.",
        )
    return flags == 1.0


def _episode_ends(
    spans: Sequence[EpisodeSpan], fell: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], tuple[EpisodeEnd, ...]]:
    """Rows after each episode's last one, and how each ended."""
    kind_at: dict[int, EpisodeEnd] = {len(fell): "gap"}
    kind_at |= {span.last_row + 1: span.end for span in spans if span.end != "continues"}
    kind_at |= {int(row) + 1: "terminated" for row in np.flatnonzero(fell)}
    ends = sorted(kind_at)
    return np.array(ends, dtype=np.int64), tuple(kind_at[end] for end in ends)
