r"""The journal: what a crash must not take, one checked line an event.

A line is `kind,fields...,crc32` and ends with a newline; the CRC (8 hexadecimal digits) is that of
the bytes before its comma. Kinds:

- `H,{json}`: first line; schema, robot, hash of its spec, origin of the data.
- `R,begins,vx,vy,wz,values...`: a transition row; `begins` is 1 on the first row of an episode.
- `G`: the episode before broke off.
- `P,name`: the rows above stand in the segment of that name; the journal is about to be deleted.

A line that doesn't end, or whose CRC differs, is no data; the row after it begins an episode.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.collection.transition_row import EpisodeGap, TransitionRow
from rwmu_deploy.collection.transition_segment import SegmentOrigin
from rwmu_deploy.contract.errors import LogError
from rwmu_deploy.contract.robot_spec import RobotSpec

SCHEMA = "rwmu.journal/1"


def checked_line(body: str) -> bytes:
    """A line with its CRC and newline."""
    data = body.encode("ascii")
    return b"%s,%08x\n" % (data, zlib.crc32(data))


def row_line(row: TransitionRow) -> bytes:
    """The line of a row; nine digits, which a float32 survives exactly."""
    numbers = np.concatenate([row.velocity_command, row.values]).astype(np.float32)
    text = ",".join(["%.9g"] * len(numbers)) % tuple(numbers.tolist())
    return checked_line(f"R,{int(row.begins)},{text}")


class TransitionJournal:
    """A journal under the next free name `transitions-{i}.journal`.

    Every line is handed to the system whole, so a killed process loses none. `sync` puts them on
    the disk, so a power failure takes what came after the last one.

    Raises:
        LogError: The folder can't be made or written to.
    """

    def __init__(self, folder: Path, spec: RobotSpec, origin: SegmentOrigin) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.path, self._descriptor = _open_new(folder)
        except OSError as error:
            raise LogError(
                f"no journal can be written to {folder}: {error}",
                fix="Free the disk or correct the folder's rights.",
            ) from error
        self._torn = False
        header = {
            "schema": SCHEMA,
            "robot": spec.name,
            "robot_sha256": spec.sha256,
            "origin": asdict(origin),
        }
        self._header = checked_line(f"H,{json.dumps(header)}")

    def append(self, line: bytes) -> None:
        """Write a line whole.

        Raises:
            OSError: The disk refuses. A part may stand there; the next line starts on its own.
        """
        start = b"\n" if self._torn else b""
        self._torn = True
        self._write(start + self._header + line)
        self._header = b""
        self._torn = False

    def sync(self) -> None:
        """Put everything so far on the disk.

        Raises:
            OSError: The disk refuses.
        """
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Sync and close.

        Raises:
            OSError: The disk refuses; it is closed nevertheless.
        """
        try:
            self.sync()
        finally:
            os.close(self._descriptor)

    def _write(self, data: bytes) -> None:
        while data:
            # A short write (disk or quota about to be full) isn't an error to the system.
            data = data[os.write(self._descriptor, data) :]


@dataclass(frozen=True)
class JournalContents:
    """What a journal still says."""

    header: dict[str, Any]
    events: list[TransitionRow | EpisodeGap]
    published: str | None
    """Name of the segment that has the rows already."""
    bad_lines: int
    """Lines that were torn or altered, and are left out."""


def read_journal(path: Path) -> JournalContents:
    """Read a journal, also one that a crash left behind.

    Raises:
        LogError: The file can't be read, or has no usable header.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LogError(f"{path} can't be read: {error}", fix="Give a journal's path.") from error
    *lines, tail = data.split(b"\n")
    bad_lines = int(bool(tail))
    header: dict[str, Any] | None = None
    events: list[TransitionRow | EpisodeGap] = []
    published: str | None = None
    broken = False
    for line in lines:
        body = _checked_body(line)
        if body is None:
            bad_lines += bool(line)
            broken = True
            continue
        kind, _, rest = body.partition(",")
        if kind == "H" and header is None:
            header = json.loads(rest)
        elif kind == "R":
            events.append(_row(rest, broken))
            broken = False
        elif kind == "G":
            events.append(EpisodeGap())
        elif kind == "P":
            published = rest
    if header is None or header.get("schema") != SCHEMA:
        raise LogError(
            f"{path} has no header of {SCHEMA}",
            fix="Give a journal that rwmu wrote; delete this one if it is empty.",
        )
    return JournalContents(header, events, published, bad_lines)


def _checked_body(line: bytes) -> str | None:
    body, _, crc = line.rpartition(b",")
    if len(crc) == 8 and b"%08x" % zlib.crc32(body) == crc:
        return body.decode("ascii")
    return None


def _row(fields: str, broken: bool) -> TransitionRow:
    begins, *numbers = fields.split(",")
    values: NDArray[np.float64] = np.array([float(text) for text in numbers])
    vx, vy, wz = values[:3].tolist()
    return TransitionRow(values[3:], (vx, vy, wz), begins=broken or begins == "1")


def _open_new(folder: Path) -> tuple[Path, int]:
    index = 0
    while True:
        path = folder / f"transitions-{index}.journal"
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except FileExistsError:
            index += 1
