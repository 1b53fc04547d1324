"""Write the two sides of a split as folders of their own, with the origin of every row.

N = rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from rwmu_deploy.collection.transition_segment import (
    EpisodeSpan,
    SegmentOrigin,
    Source,
    SpanEnd,
    write_segment,
)
from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.transitions.dataset import FileRecord, TransitionDataset, indices_of_ranges
from rwmu_train.transitions.new_folder import new_folder
from rwmu_train.transitions.sidecar import read_sidecar

TRAIN, VALIDATION = "train", "validation"
_UNKNOWN = "unknown: the CSV had no sidecar"


@dataclass(frozen=True)
class SplitPart:
    """One side, as written."""

    folder: Path
    files: int
    rows: int
    episodes: int
    falls: int


def write_split(
    dataset: TransitionDataset,
    out: Path,
    *,
    validation_share: float,
    seed: int,
    source_without_sidecar: Source | None = None,
) -> tuple[SplitPart, SplitPart]:
    """Write `out`/train and `out`/validation, one segment for each file that gave rows.

    Every row goes to one side, with its episode (see `TransitionDataset.split`). Sidecars keep
    the source file's origin and gains; their note names the file, its sha256 and the split.

    Args:
        dataset: A whole data set, as `load_dataset` gives it.
        out: New or empty.
        validation_share: Share of the rows to validate on; above 0, below 1.
        seed: Same seed, same division.
        source_without_sidecar: What a CSV without a sidecar is; it then gets one, because its
            episodes would otherwise run together.

    Returns:
        Training and validation part.

    Raises:
        ConfigError: The share is out of range, or there are fewer than two rows.
        TransitionFileError: A file's sidecar can't be read any more, or it has none and
            `source_without_sidecar` is None.
        LogError: `out` holds something, or the disk refuses; nothing was written.
    """
    sides = dict(zip((TRAIN, VALIDATION), dataset.split(validation_share, seed), strict=True))
    origins = [_origin(file, dataset.spec, source_without_sidecar) for file in dataset.files]
    with new_folder(out) as folder:
        parts = [
            _write_side(
                side,
                origins,
                folder / name,
                f"{name} side, share {validation_share:g}, seed {seed}",
            )
            for name, side in sides.items()
        ]
    train, validation = (replace(part, folder=out / part.folder.name) for part in parts)
    return train, validation


def spans_of_episodes(dataset: TransitionDataset, episodes: Sequence[int]) -> list[EpisodeSpan]:
    """Spans of constant command of some episodes, as if their rows followed one another."""
    spans: list[EpisodeSpan] = []
    first = 0
    for episode in episodes:
        rows = slice(int(dataset.episode_start[episode]), int(dataset.episode_end[episode]))
        command = dataset.velocity_command[rows]
        same = (command[1:] == command[:-1]) | (np.isnan(command[1:]) & np.isnan(command[:-1]))
        ends = [*(np.flatnonzero(~same.all(axis=1)) + 1).tolist(), len(command)]
        for begin, end in zip([0, *ends[:-1]], ends, strict=True):
            kind: SpanEnd = "continues"
            if end == len(command):
                kind = dataset.episode_end_kind[episode]
            vx, vy, wz = command[begin].tolist()
            spans.append(EpisodeSpan(first + begin, first + end - 1, kind, (vx, vy, wz)))
        first += len(command)
    return spans


def _origin(
    file: FileRecord, spec: RobotSpec, source: Source | None
) -> tuple[SegmentOrigin, RobotSpec]:
    """Where a file's numbers come from, and the robot with the gains that made them."""
    sidecar = read_sidecar(file.path, spec, csv_sha256=file.sha256, row_count=file.row_count)
    if sidecar is not None:
        meta = sidecar.meta
        known = {field.name for field in fields(SegmentOrigin)} & set(meta)
        origin = SegmentOrigin(**{name: meta[name] for name in known})
        return origin, _with_recorded_gains(spec, meta, file.path)
    if source is None:
        raise TransitionFileError(
            f"{file.path} has no sidecar that says whether a robot or a simulation made it",
            fix="Add --source sim or --source real.",
        )
    return SegmentOrigin(source, _UNKNOWN, _UNKNOWN, _UNKNOWN), spec


def _with_recorded_gains(spec: RobotSpec, meta: dict[str, Any], path: Path) -> RobotSpec:
    try:
        joints = tuple(
            replace(joint, kp_nm_per_rad=float(kp), kd_nms_per_rad=float(kd))
            for joint, kp, kd in zip(
                spec.joints, meta["kp_nm_per_rad"], meta["kd_nms_per_rad"], strict=True
            )
        )
    except (TypeError, ValueError):
        raise TransitionFileError(
            f"the sidecar of {path}: kp_nm_per_rad and kd_nms_per_rad are not "
            f"{spec.joint_count} numbers each",
            fix="Restore the file from its source.",
        ) from None
    return replace(spec, joints=joints)


def _write_side(
    side: TransitionDataset,
    origins: Sequence[tuple[SegmentOrigin, RobotSpec]],
    folder: Path,
    how: str,
) -> SplitPart:
    written = 0
    for file, (origin, spec) in zip(side.files, origins, strict=True):
        end = file.first_row + file.row_count
        inside = (side.episode_start >= file.first_row) & (side.episode_start < end)
        if not inside.any():
            continue
        rows = indices_of_ranges(side.episode_start[inside], side.episode_length[inside])
        said = f"{how}, of {file.path.name} with sha256 {file.sha256}"
        note = f"{origin.note}; {said}" if origin.note else said
        spans = spans_of_episodes(side, np.flatnonzero(inside).tolist())
        write_segment(folder, spec, side.rows[rows], spans, replace(origin, note=note))
        written += 1
    return SplitPart(
        folder=folder,
        files=written,
        rows=side.row_count,
        episodes=len(side.episode_start),
        falls=side.episode_end_kind.count("terminated"),
    )
