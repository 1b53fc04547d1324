"""Write one segment of transitions: the public CSV, and a sidecar with what the CSV can't say.

A segment is three files in one folder:

- `state_action_data_{i}.csv`: no header, the columns of `TransitionColumns`; any public reader of
  the format takes it alone.
- `state_action_data_{i}.episodes.csv`: `EPISODE_HEADER`, one line a span of constant command.
- `state_action_data_{i}.meta.json`: robot, joint order, gains, time step, sources, hashes.

The CSV appears last, so whoever sees it sees its whole sidecar too. Writers of one folder may run
side by side. N = rows, C = columns.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

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
CSV_NAME = re.compile(r"state_action_data_(0|[1-9][0-9]*)\.csv")

# Formatting holds the interpreter lock: 32 rows keep it below a millisecond, so that a control
# loop in the same process is not late.
_ROWS_PER_FORMAT = 32
_ROWS_PER_WRITE = 4096


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


@dataclass(frozen=True)
class SegmentPaths:
    """The three files of segment `index`."""

    csv: Path
    episodes: Path
    meta: Path

    @classmethod
    def of(cls, folder: Path, index: int) -> SegmentPaths:
        """Paths of segment `index` in `folder`, whether or not they exist."""
        return cls.beside(folder / f"state_action_data_{index}.csv")

    @classmethod
    def beside(cls, csv: Path) -> SegmentPaths:
        """Paths of the sidecar that belongs to a CSV."""
        stem = csv.name.removesuffix(".csv")
        return cls(
            csv,
            csv.with_name(f"{stem}.episodes.csv"),
            csv.with_name(f"{stem}.meta.json"),
        )


def segment_indices(folder: Path) -> list[int]:
    """Indices of the segments whose CSV stands in a folder, ascending."""
    matches = (CSV_NAME.fullmatch(name) for name in os.listdir(folder))
    return sorted(int(match[1]) for match in matches if match)


def next_segment_index(folder: Path) -> int:
    """The index after the highest one in a folder; hold `locked_folder` while it is used."""
    present = segment_indices(folder)
    return present[-1] + 1 if present else 0


def write_segment(
    folder: Path,
    spec: RobotSpec,
    rows: NDArray[np.floating],
    spans: Sequence[EpisodeSpan],
    origin: SegmentOrigin,
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

    Returns:
        Path of the CSV.

    Raises:
        LogError: Rows or spans are not as above, or the disk refuses; no segment appears then.
    """
    columns = TransitionColumns.of(spec)
    values = _checked_rows(rows, columns)
    _check_spans(spans, len(values))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _temporary_files(folder) as temporary:
            csv_sha256 = _write_durably(temporary.csv, _csv_blocks(values))
            episodes_sha256 = _write_durably(temporary.episodes, [_episodes_text(spans)])
            meta = _meta(spec, columns, origin, len(values), csv_sha256, episodes_sha256)
            _write_durably(temporary.meta, [json.dumps(meta, indent=1).encode() + b"\n"])
            return _publish(temporary, folder)
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
    full = line * _ROWS_PER_FORMAT
    for start in range(0, len(values), _ROWS_PER_WRITE):
        block = values[start : start + _ROWS_PER_WRITE].astype(np.float64)
        parts: list[str] = []
        for i in range(0, len(block), _ROWS_PER_FORMAT):
            part = block[i : i + _ROWS_PER_FORMAT]
            template = full if len(part) == _ROWS_PER_FORMAT else line * len(part)
            parts.append(template % tuple(part.ravel().tolist()))
        yield "".join(parts).encode("ascii")


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
    csv_sha256: str,
    episodes_sha256: str,
) -> dict[str, Any]:
    units = [block.unit for block in columns.blocks for _ in block.labels]
    return {
        "schema": SCHEMA,
        "robot": spec.name,
        "robot_sha256": spec.sha256,
        "joint_names": list(spec.joint_names),
        "columns": [{"name": columns.label(i), "unit": unit} for i, unit in enumerate(units)],
        "control_dt_s": spec.control_dt_s,
        "default_position_rad": spec.default_position_rad.tolist(),
        "action_scale": spec.action_scale,
        "kp_nm_per_rad": spec.kp_nm_per_rad.tolist(),
        "kd_nms_per_rad": spec.kd_nms_per_rad.tolist(),
        **asdict(origin),
        "rows": row_count,
        "csv_sha256": csv_sha256,
        "episodes_sha256": episodes_sha256,
        "created_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


@contextlib.contextmanager
def _temporary_files(folder: Path) -> Iterator[SegmentPaths]:
    token = f".segment-{os.getpid()}-{secrets.token_hex(4)}"
    paths = SegmentPaths(*(folder / f"{token}.{end}.tmp" for end in ("csv", "episodes", "meta")))
    try:
        yield paths
    finally:
        for path in (paths.csv, paths.episodes, paths.meta):
            path.unlink(missing_ok=True)


def _write_durably(path: Path, blocks: Iterator[bytes] | list[bytes]) -> str:
    digest = hashlib.sha256()
    with open(path, "xb") as file:
        for block in blocks:
            file.write(block)
            digest.update(block)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _publish(temporary: SegmentPaths, folder: Path) -> Path:
    with locked_folder(folder) as folder_descriptor:
        final = SegmentPaths.of(folder, next_segment_index(folder))
        os.replace(temporary.episodes, final.episodes)
        os.replace(temporary.meta, final.meta)
        os.fsync(folder_descriptor)
        os.replace(temporary.csv, final.csv)
        os.fsync(folder_descriptor)
    return final.csv


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[int]:
    """Lock a folder against other writers of segments; yields the folder's descriptor.

    The system frees the lock of a process that dies.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
