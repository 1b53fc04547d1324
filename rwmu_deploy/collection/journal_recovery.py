"""Publish the rows of journals that crashes left behind, and say what is lost.

A journal is touched only after its rows stand on the disk as a segment, and a segment names the
journal that it came from; so recovery may itself be killed, and run as often as one likes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from rwmu_deploy.collection.disk import Disk
from rwmu_deploy.collection.journal_reader import JournalContents, read_journal
from rwmu_deploy.collection.segment_buffer import SegmentBuffer
from rwmu_deploy.collection.segment_files import SegmentPaths, segment_indices
from rwmu_deploy.collection.segment_log import SegmentNotes
from rwmu_deploy.collection.transition_segment import SegmentOrigin, write_segment
from rwmu_deploy.contract.errors import LogError, RobotSpecError, RwmuError
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec, spec_from_dict
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.contract.whole_file import sync_folder

Outcome = Literal["recovered", "published before", "no rows", "in use", "failed"]


@dataclass(frozen=True)
class RecoveredJournal:
    """What became of one journal."""

    journal: Path
    outcome: Outcome
    rows: int = 0
    """In its segment."""
    segment: Path | None = None
    gap_ticks: int = 0
    """Ticks that left no row, as the log itself said."""
    lost_rows: int = 0
    """Rows that are known to be lost; what a torn last line held is not among them."""
    losses: tuple[str, ...] = ()
    """What was torn or altered, and where."""
    problem: str = ""
    """Why it failed."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        segment = None if self.segment is None else str(self.segment)
        return {
            **vars(self),
            "journal": str(self.journal),
            "segment": segment,
            "losses": list(self.losses),
        }


def recover(
    folder: Path, out: Path | None = None, *, robot: RobotSpec | None = None
) -> list[RecoveredJournal]:
    """Publish every journal of a folder.

    A journal that is done with is renamed to `*.recovered`; one without a row or a loss is
    deleted. With `out` they are left as they are.

    Args:
        folder: Where the journals are.
        out: Where segments go; None: into `folder`.
        robot: Whose the journals are, where they are too old to say.

    Returns:
        One entry a journal, in the order of their numbers; none: nothing to do.

    Raises:
        LogError: There is no such folder.
    """
    if not folder.is_dir():
        raise LogError(f"{folder} is not a folder", fix="Name the folder of a log.")
    journals = sorted(
        folder.glob("transitions-*.journal"), key=lambda path: (len(path.name), path)
    )
    target = folder if out is None else out
    found: list[RecoveredJournal] = []
    for path in journals:
        try:
            with _locked(path) as is_free:
                if is_free:
                    result = _recover(path, target, robot, keep=out is not None)
                else:
                    result = RecoveredJournal(
                        path, "in use", problem="a live process writes to it: end that first"
                    )
        except (RwmuError, OSError) as error:
            result = RecoveredJournal(path, "failed", problem=" ".join(str(error).split()))
        found.append(result)
    return found


def _recover(path: Path, target: Path, robot: RobotSpec | None, *, keep: bool) -> RecoveredJournal:
    contents = read_journal(path)
    name = _id_of(path, contents)
    result = RecoveredJournal(
        path,
        "no rows",
        rows=len(contents.rows),
        gap_ticks=sum(row.gap.ticks for row in contents.rows) + contents.last_gap.ticks,
        lost_rows=contents.lost_rows,
        losses=tuple(
            f"line {bad.number} (byte {bad.offset}): {bad.what}" for bad in contents.bad_lines
        ),
    )
    earlier = _segment_of(name, target)
    if contents.published is not None:
        earlier = target / contents.published
    if earlier is not None:
        # What is bad now was bad then: the segment has what the log counted as rows.
        result = replace(
            result, outcome="published before", segment=earlier, lost_rows=0, losses=()
        )
    elif contents.rows:
        segment = _publish(path, contents, name, target, robot)
        result = replace(result, outcome="recovered", segment=segment)
    if not keep:
        _put_aside(path, name, is_worthless=result.outcome == "no rows" and not result.losses)
    return result


def _publish(
    path: Path, contents: JournalContents, name: str, target: Path, robot: RobotSpec | None
) -> Path:
    assert contents.header is not None, "rows come after the header"
    spec = _robot_of(path, contents.header, robot)
    buffer, notes = SegmentBuffer(TransitionColumns.of(spec)), SegmentNotes()
    for row in contents.rows:
        buffer.add(row.values, row.velocity_command, begins=row.begins)
        notes.add(row.tick_line, row.gap)
    if contents.breaks_off:
        buffer.end_episode("gap")
    said = f"recovered from {path.name}"
    if contents.bad_lines:
        said += f", which has {len(contents.bad_lines)} bad lines"
    origin = _origin_of(contents.header, said)
    log = notes.take(name, contents.last_gap)
    return write_segment(target, spec, *buffer.take(), origin, log=log)


def _robot_of(path: Path, header: dict[str, Any], robot: RobotSpec | None) -> RobotSpec:
    if "spec" in header:
        return spec_from_dict(header["spec"], source=str(path))
    try:
        spec = robot or load_robot_spec(str(header.get("robot")))
    except RobotSpecError as error:
        raise LogError(
            f"{path} is of the robot {header.get('robot')}, which is not known here",
            fix="Give its robot.yaml with --robot.",
        ) from error
    if robot is None and spec.sha256 != header.get("robot_sha256"):
        raise LogError(
            f"{path} was written with another robot.yaml of {spec.name}",
            fix="Give that robot.yaml with --robot.",
        )
    return spec


def _origin_of(header: dict[str, Any], said: str) -> SegmentOrigin:
    known = {field.name for field in fields(SegmentOrigin)} & set(header["origin"])
    try:
        origin = SegmentOrigin(**{name: header["origin"][name] for name in known})
    except TypeError as error:
        raise LogError(
            f"a journal's origin can't be read: {error}",
            fix="Recover it with the version of rwmu that wrote it.",
        ) from error
    return replace(origin, note=f"{origin.note}; {said}" if origin.note else said)


def _id_of(path: Path, contents: JournalContents) -> str:
    """The journal's own; those too old to have one don't change any more."""
    name = (contents.header or {}).get("id")
    return str(name or hashlib.sha256(path.read_bytes()).hexdigest()[:16])


def _segment_of(journal: str, folder: Path) -> Path | None:
    """The segment of a folder that has a journal's rows, if there is one."""
    for index in segment_indices(folder) if folder.is_dir() else []:
        paths = SegmentPaths.of(folder, index)
        with contextlib.suppress(OSError, ValueError, AttributeError):  # Not a logger's.
            if json.loads(paths.meta.read_bytes()).get("journal") == journal:
                return paths.csv
    return None


def _put_aside(path: Path, name: str, *, is_worthless: bool) -> None:
    disk = Disk()
    if is_worthless:
        disk.remove(path)
    else:
        disk.replace(path, path.with_name(f"{path.stem}.{name}.recovered"))
    sync_folder(path.parent)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Lock a journal against its writer; yields False where there is a live one."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
