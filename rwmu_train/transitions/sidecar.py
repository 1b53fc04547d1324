"""Read the sidecar of a transition CSV, and refuse data that another robot or order wrote."""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from rwmu_deploy.collection.segment_files import SegmentPaths
from rwmu_deploy.collection.segment_log import PlacedGap
from rwmu_deploy.collection.tick_line import ticks_header
from rwmu_deploy.collection.transition_segment import (
    EPISODE_HEADER,
    SCHEMA,
    SPAN_ENDS,
    EpisodeSpan,
    Source,
    SpanEnd,
)
from rwmu_deploy.contract.action import stated_action_scale
from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns

_TOLERANCE = 1e-9
_LONGEST_DELAY_S = 1.0


@dataclass(frozen=True)
class Sidecar:
    """What the CSV alone does not say."""

    source: Source
    spans: tuple[EpisodeSpan, ...]
    """Tile the CSV's rows."""
    actuation_delay_s: float
    """Time by which the drives are known to act late."""
    gaps: tuple[PlacedGap, ...]
    """Where a logger knew of ticks that left no row; empty in other sidecars."""
    meta: dict[str, Any]
    """The document as written."""
    notes: tuple[str, ...]
    """Differences that do not make the data unusable."""


def read_sidecar(
    csv_path: Path, spec: RobotSpec, *, csv_sha256: str, row_count: int
) -> Sidecar | None:
    """Read and verify the sidecar of a CSV; None if there is none.

    Raises:
        TransitionFileError: One of its files is missing or unreadable, does not belong to this
            CSV, or names another robot, joint order, column order, time step or action scaling.
    """
    paths = SegmentPaths.beside(csv_path)
    present = [path for path in (paths.meta, paths.episodes) if path.exists()]
    if not present:
        return None
    if len(present) == 1:
        missing = paths.episodes if present == [paths.meta] else paths.meta
        raise TransitionFileError(
            f"{csv_path} has {present[0].name} but no {missing.name}",
            fix="Copy the missing file too, or remove both to read the CSV without a sidecar.",
        )
    meta = _read_meta(paths.meta)
    episodes = _read_bytes(paths.episodes)
    _require_same(paths.meta, "csv_sha256", meta, csv_sha256, f"that of {csv_path.name}")
    _require_same(paths.meta, "rows", meta, row_count, f"the rows of {csv_path.name}")
    _require_same(
        paths.meta,
        "episodes_sha256",
        meta,
        hashlib.sha256(episodes).hexdigest(),
        f"that of {paths.episodes.name}",
    )
    if "ticks_sha256" in meta:
        _check_ticks(paths, meta, spec, row_count)
    notes = _compare_with_robot(paths.meta, meta, spec)
    if meta["source"] not in get_args(Source):
        raise _error(paths.meta, "source", meta["source"], " or ".join(get_args(Source)))
    spans = _parse_spans(paths.episodes, episodes, row_count)
    delay_s = _actuation_delay_s(paths.meta, meta)
    gaps = _gaps(paths.meta, meta, row_count)
    return Sidecar(meta["source"], spans, delay_s, gaps, meta, notes)


def _check_ticks(paths: SegmentPaths, meta: dict[str, Any], spec: RobotSpec, rows: int) -> None:
    if not paths.ticks.exists():
        raise TransitionFileError(
            f"{paths.csv} has no {paths.ticks.name}, which {paths.meta.name} lists",
            fix="Copy the missing file too.",
        )
    content = _read_bytes(paths.ticks)
    sha256 = hashlib.sha256(content).hexdigest()
    _require_same(paths.meta, "ticks_sha256", meta, sha256, f"that of {paths.ticks.name}")
    header = content.partition(b"\n")[0].decode("latin-1")
    if header != ticks_header(spec) or content.count(b"\n") != rows + 1:
        raise _error(
            paths.ticks, "header", header[:100], f"{ticks_header(spec)}, and {rows} lines"
        )


def _gaps(path: Path, meta: dict[str, Any], row_count: int) -> tuple[PlacedGap, ...]:
    """What a logger says of missing rows; nothing in other sidecars, and in older ones."""
    listed = meta.get("gaps", [])
    try:
        return tuple(PlacedGap.from_dict(entry, row_count) for entry in listed)
    except (ValueError, TypeError, AttributeError) as error:
        raise _error(path, "gaps", str(listed)[:100], f"a list of gaps ({error})") from None


def _actuation_delay_s(path: Path, meta: dict[str, Any]) -> float:
    """What the variant of a simulated robot says; 0 for other robots and older sidecars."""
    variant = meta.get("variant")
    if variant is None:
        return 0.0
    if not isinstance(variant, dict):
        raise _error(path, "variant", variant, "a document, or null")
    delay_s = variant.get("actuation_delay_s", 0.0)
    if not (isinstance(delay_s, (int, float)) and 0.0 <= delay_s <= _LONGEST_DELAY_S):
        raise _error(
            path, "variant.actuation_delay_s", delay_s, f"a number from 0 to {_LONGEST_DELAY_S}"
        )
    return float(delay_s)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TransitionFileError(
            f"{path} can't be read: {error.strerror}", fix="Correct the file's rights."
        ) from error


def _read_meta(path: Path) -> dict[str, Any]:
    try:
        meta = json.loads(_read_bytes(path))
    except ValueError:
        raise TransitionFileError(
            f"{path} is not JSON", fix="Restore the file from its source."
        ) from None
    if not isinstance(meta, dict) or meta.get("schema") != SCHEMA:
        found = meta.get("schema") if isinstance(meta, dict) else type(meta).__name__
        raise _error(path, "schema", found, repr(SCHEMA))
    needed = {
        *("robot", "robot_sha256", "joint_names", "columns", "control_dt_s", "action_scale"),
        *("default_position_rad", "kp_nm_per_rad", "kd_nms_per_rad", "source", "rows"),
        *("torque_source", "contact_source", "base_velocity_source"),
        *("csv_sha256", "episodes_sha256"),
    }
    missing = sorted(needed - set(meta))
    if missing:
        raise TransitionFileError(
            f"{path} misses {', '.join(missing)}", fix="Restore the file from its source."
        )
    return meta


def _compare_with_robot(path: Path, meta: dict[str, Any], spec: RobotSpec) -> tuple[str, ...]:
    if meta["robot"] != spec.name:
        raise _error(path, "robot", meta["robot"], f"{spec.name!r}, the robot trained for")
    _require_same_names(path, "joint_names", meta["joint_names"], spec.joint_names)
    columns = TransitionColumns.of(spec)
    listed = meta["columns"]
    names = (
        [entry.get("name") if isinstance(entry, dict) else entry for entry in listed]
        if isinstance(listed, list)
        else listed
    )
    labels = [columns.label(i) for i in range(columns.count)]
    _require_same_names(path, "columns", names, labels)
    _require_close(path, "control_dt_s", [meta["control_dt_s"]], [spec.control_dt_s])
    scale = stated_action_scale(spec)
    _require_close(path, "action_scale", _listed(meta["action_scale"]), _listed(scale))
    _require_close(
        path, "default_position_rad", meta["default_position_rad"], spec.default_position_rad
    )
    return tuple(
        f"{path.name}: {key} is not the robot's: these data were made with other gains"
        for key in ("kp_nm_per_rad", "kd_nms_per_rad")
        if not _close(meta[key], getattr(spec, key))
    )


def _require_same(path: Path, key: str, meta: dict[str, Any], actual: Any, whose: str) -> None:
    if meta[key] != actual:
        raise TransitionFileError(
            f"{path}: {key} is {meta[key]!r}, but {whose} is {actual!r}: the file was changed or "
            "torn after it was written",
            fix="Restore all files of the segment from their source.",
        )


def _require_same_names(path: Path, key: str, found: Any, wanted: Sequence[str]) -> None:
    if not isinstance(found, list):
        raise _error(path, key, found, "a list of names")
    for index, (there, here) in enumerate(zip(found, wanted, strict=False)):
        if there != here:
            raise TransitionFileError(
                f"{path}: {key} differs at index {index}: file {there!r}, robot {here!r}",
                fix="Write the data again in the order of robot.yaml; columns are never guessed.",
            )
    if len(found) != len(wanted):
        raise _error(path, key, f"{len(found)} names", f"{len(wanted)} names")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _require_close(path: Path, key: str, found: Any, wanted: Sequence[float] | Any) -> None:
    if not _close(found, wanted):
        raise _error(path, key, found, f"{list(map(float, wanted))}, as in robot.yaml")


def _close(found: Any, wanted: Sequence[float] | Any) -> bool:
    return (
        isinstance(found, list)
        and len(found) == len(wanted)
        and all(
            isinstance(there, (int, float)) and abs(there - here) <= _TOLERANCE
            for there, here in zip(found, wanted, strict=True)
        )
    )


def _parse_spans(path: Path, content: bytes, row_count: int) -> tuple[EpisodeSpan, ...]:
    lines = list(csv.reader(content.decode("latin-1").splitlines()))
    if not lines or tuple(lines[0]) != EPISODE_HEADER:
        raise _error(path, "header", ",".join(lines[0]) if lines else "", ",".join(EPISODE_HEADER))
    spans: list[EpisodeSpan] = []
    for number, cells in enumerate(lines[1:], start=2):
        span = _parse_span(cells)
        first_row = spans[-1].last_row + 1 if spans else 0
        if (
            span is None
            or span.first_row != first_row
            or not span.first_row <= span.last_row < row_count
        ):
            raise _error(
                path,
                f"line {number}",
                ",".join(cells)[:100],
                f"a span from row {first_row} to at most {row_count - 1}, an end among "
                f"{', '.join(SPAN_ENDS)}, and a command of three finite numbers or three nan",
            )
        spans.append(span)
    if not spans or spans[-1].last_row != row_count - 1:
        covered = spans[-1].last_row + 1 if spans else 0
        raise _error(path, "spans", f"{covered} rows in all", f"all {row_count} rows of the CSV")
    return tuple(spans)


def _parse_span(cells: list[str]) -> EpisodeSpan | None:
    if len(cells) != len(EPISODE_HEADER):
        return None
    try:
        first, last = int(cells[0]), int(cells[1])
        vx, vy, wz = (float(cell) for cell in cells[3:])
    except ValueError:
        return None
    ends: list[SpanEnd] = [end for end in SPAN_ENDS if end == cells[2]]
    finite = [math.isfinite(value) for value in (vx, vy, wz)]
    known = all(finite)
    unknown = all(math.isnan(value) for value in (vx, vy, wz))
    if not ends or not (known or unknown):
        return None
    return EpisodeSpan(first, last, ends[0], (vx, vy, wz))


def _error(path: Path, key: str, value: Any, allowed: str) -> TransitionFileError:
    return TransitionFileError(
        f"{path}: {key} is {value!r}; allowed is {allowed}",
        fix="Use the data of this robot, or restore the file from its source.",
    )
