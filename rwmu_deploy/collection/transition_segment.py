"""Write one segment of transitions: the public CSV, and a sidecar with what the CSV can't say.

A segment is three files in one folder, four where a logger wrote it:

- `state_action_data_{i}.csv`: no header, the columns of `TransitionColumns`; any public reader of
  the format takes it alone.
- `state_action_data_{i}.episodes.csv`: `EPISODE_HEADER`, one line a span of constant command.
- `state_action_data_{i}.ticks.csv`: of every row its tick (`ticks_header`), with the raw action.
- `state_action_data_{i}.meta.json`: robot, joint order, gains, time step, sources, hashes; where a
  logger wrote it, also `gaps`: after which row how many ticks left none, and why.

What loggers add is left out by other writers, so the schema stays 1.

The CSV appears last, so whoever sees it sees its whole sidecar too. Writers of one folder may run
side by side. N = rows, C = columns.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.collection.disk import Disk, write_all
from rwmu_deploy.collection.segment_files import (
    SegmentPaths,
    locked_folder,
    next_segment_index,
)
from rwmu_deploy.collection.segment_log import SegmentLog
from rwmu_deploy.collection.tick_line import ticks_header
from rwmu_deploy.contract.action import stated_action_scale
from rwmu_deploy.contract.errors import LogError
from rwmu_deploy.contract.observation import COMMAND_LABELS
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns

SpanEnd = Literal["terminated", "truncated", "gap", "continues"]
"""How a span ends: the robot fell; the episode was cut off; rows are missing; it goes on."""
Source = Literal["sim", "real"]

SCHEMA = "rwmu.transitions/1"
SPAN_ENDS: tuple[SpanEnd, ...] = ("terminated", "truncated", "gap", "continues")
EPISODE_HEADER = ("first_row", "last_row", "end", *COMMAND_LABELS)

# Formatting, joining and encoding hold the interpreter lock: so many values keep it below a
# millisecond, however wide a row is, so that a control loop in the same process is not late.
_VALUES_AT_ONCE = 2000


@dataclass(frozen=True)
class EpisodeSpan:
    """Rows of one episode with one constant velocity command."""

    first_row: int
    last_row: int
    """Inclusive."""
    end: SpanEnd
    """`continues` when the episode goes on in the next span."""
    velocity_command: tuple[float, float, float]
    """vx [m/s], vy [m/s], wz [rad/s], base frame; all NaN when it is not known."""


@dataclass(frozen=True)
class SegmentOrigin:
    """Where a segment's numbers come from."""

    source: Source
    torque_source: str
    """What the torque columns are: "measured", "estimated from current", "simulated", ..."""
    contact_source: str
    base_velocity_source: str
    bundle_sha256: str | None = None
    """Hash of the bundle whose policy acted, if one did."""
    note: str = ""
    variant: Mapping[str, Any] | None = None
    """Name, seed and values of the simulated robot's variant; None: real, or not stated."""
    generation: int | None = None
    """Of the policy that acted: how many of its training run were before it; None: not stated."""
    policy: str | None = None
    """Which policy acted, the same in all its recordings; None: a bundle's, or not stated."""


def write_segment(
    folder: Path,
    spec: RobotSpec,
    rows: NDArray[np.floating],
    spans: Sequence[EpisodeSpan],
    origin: SegmentOrigin,
    *,
    log: SegmentLog | None = None,
    disk: Disk | None = None,
) -> Path:
    """Write rows as the next segment of a folder, whole or not at all.

    The index follows the highest one there. Values are rounded to float32 and written with nine
    digits, which a float32 survives exactly.

    Args:
        folder: Created if missing.
        spec: The robot; its columns are C.
        rows: Shape (N, C), N >= 1, finite.
        spans: Tile the rows 0..N-1 in order, without a hole or an overlap.
        origin: Goes into the sidecar.
        log: Ticks and gaps, where a logger knows them.
        disk: The machine's, where None.

    Returns:
        Path of the CSV.

    Raises:
        LogError: Rows or spans are not as above, or the disk refuses; no segment appears then.
    """
    disk = disk or Disk()
    columns = TransitionColumns.of(spec)
    values = _checked_rows(rows, columns)
    _check_spans(spans, len(values))
    sidecar = {"episodes": _episodes_text(spans)}
    if log is not None and log.tick_lines is not None:
        assert len(log.tick_lines) == len(values), "one line a row"
        sidecar["ticks"] = "\n".join([ticks_header(spec), *log.tick_lines, ""]).encode("ascii")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _temporary_files(folder, disk) as temporary:
            hashes = {"csv_sha256": _write_durably(disk, temporary.csv, _csv_blocks(values))}
            for kind, content in sidecar.items():
                path = getattr(temporary, kind)
                hashes[f"{kind}_sha256"] = _write_durably(disk, path, [content])
            meta = _meta(spec, columns, origin, len(values), hashes, log)
            content = json.dumps(meta, indent=1).encode() + b"\n"
            _write_durably(disk, temporary.meta, [content])
            return _publish(disk, temporary, folder, has_ticks="ticks" in sidecar)
    except OSError as error:
        raise LogError(
            f"segment of {len(values)} rows can't be written to {folder}: {error}",
            fix="Free the disk or correct the folder's rights, then write again.",
        ) from error


def _checked_rows(rows: NDArray[np.floating], columns: TransitionColumns) -> NDArray[np.float32]:
    if rows.ndim != 2 or rows.shape[1] != columns.count or len(rows) == 0:
        raise LogError(
            f"rows have shape {rows.shape}; allowed is (1 or more, {columns.count})",
            fix="Put rows together with TransitionColumns.of(spec) of this robot.",
        )
    with np.errstate(over="ignore"):
        values = rows.astype(np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        row, column = (int(i) for i in np.argwhere(~finite)[0])
        raise LogError(
            f"row {row}, {columns.label(column)} is {rows[row, column]}; allowed is a finite "
            "float32",
            fix="Leave the row out and end the span before it with 'gap'.",
        )
    return values


def _check_spans(spans: Sequence[EpisodeSpan], row_count: int) -> None:
    next_row = 0
    for index, span in enumerate(spans):
        if span.end not in SPAN_ENDS:
            raise LogError(
                f"span {index} ends as {span.end!r}; allowed is one of {', '.join(SPAN_ENDS)}",
                fix="Name one of these.",
            )
        command = span.velocity_command
        known = all(math.isfinite(value) for value in command)
        unknown = all(math.isnan(value) for value in command)
        if len(command) != 3 or not (known or unknown):
            raise LogError(
                f"span {index} has velocity command {command}; allowed are three finite numbers, "
                "or three NaN when it is not known",
                fix="Correct the command.",
            )
        if not (span.first_row == next_row and span.first_row <= span.last_row < row_count):
            raise LogError(
                f"span {index} covers rows {span.first_row} to {span.last_row}; allowed is a span "
                f"from row {next_row} to at most {row_count - 1}",
                fix="Let the spans tile the rows in order.",
            )
        next_row = span.last_row + 1
    if next_row != row_count:
        raise LogError(
            f"spans cover rows 0 to {next_row - 1} of {row_count}; allowed is all of them",
            fix="Add a span for the rest.",
        )


def _csv_blocks(values: NDArray[np.float32]) -> Iterator[bytes]:
    line = ",".join(["%.9g"] * values.shape[1]) + "\n"
    at_once = max(1, _VALUES_AT_ONCE // values.shape[1])
    for start in range(0, len(values), at_once):
        part = values[start : start + at_once].astype(np.float64)
        yield (line * len(part) % tuple(part.ravel().tolist())).encode("ascii")


def _episodes_text(spans: Sequence[EpisodeSpan]) -> bytes:
    lines = [",".join(EPISODE_HEADER)]
    for span in spans:
        command = ",".join(f"{np.float32(value):.9g}" for value in span.velocity_command)
        lines.append(f"{span.first_row},{span.last_row},{span.end},{command}")
    return ("\n".join(lines) + "\n").encode("ascii")


def _meta(
    spec: RobotSpec,
    columns: TransitionColumns,
    origin: SegmentOrigin,
    row_count: int,
    hashes: Mapping[str, str],
    log: SegmentLog | None,
) -> dict[str, Any]:
    units = [block.unit for block in columns.blocks for _ in block.labels]
    logged = (
        {}
        if log is None
        else {"journal": log.journal, "gaps": [gap.to_dict() for gap in log.gaps]}
    )
    return {
        "schema": SCHEMA,
        "robot": spec.name,
        "robot_sha256": spec.sha256,
        "joint_names": list(spec.joint_names),
        "columns": [{"name": columns.label(i), "unit": unit} for i, unit in enumerate(units)],
        "control_dt_s": spec.control_dt_s,
        "default_position_rad": spec.default_position_rad.tolist(),
        "action_scale": stated_action_scale(spec),
        "kp_nm_per_rad": spec.kp_nm_per_rad.tolist(),
        "kd_nms_per_rad": spec.kd_nms_per_rad.tolist(),
        **asdict(origin),
        "rows": row_count,
        **hashes,
        **logged,
        "created_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


@contextlib.contextmanager
def _temporary_files(folder: Path, disk: Disk) -> Iterator[SegmentPaths]:
    token = f".segment-{os.getpid()}-{secrets.token_hex(4)}"
    ends = ("csv", "ticks", "episodes", "meta")
    paths = SegmentPaths(*(folder / f"{token}.{end}.tmp" for end in ends))
    try:
        yield paths
    finally:
        for path in vars(paths).values():
            # What can't be cleaned up is no data, and no reason to doubt what was published.
            with contextlib.suppress(OSError):
                disk.remove(path)


def _write_durably(disk: Disk, path: Path, blocks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    descriptor = disk.open_new(path)
    try:
        for block in blocks:
            write_all(disk, descriptor, block)
            digest.update(block)
        disk.fsync(descriptor)
    finally:
        disk.close(descriptor)
    return digest.hexdigest()


def _publish(disk: Disk, temporary: SegmentPaths, folder: Path, *, has_ticks: bool) -> Path:
    with locked_folder(folder) as folder_descriptor:
        final = SegmentPaths.of(folder, next_segment_index(folder))
        if has_ticks:
            disk.replace(temporary.ticks, final.ticks)
        else:
            disk.remove(final.ticks)
        disk.replace(temporary.episodes, final.episodes)
        disk.replace(temporary.meta, final.meta)
        disk.fsync(folder_descriptor)
        disk.replace(temporary.csv, final.csv)
        disk.fsync(folder_descriptor)
    return final.csv
