r"""The journal: what a crash must not take, one checked line an event.

A line is `kind,fields...,crc32` and ends with a newline; the CRC (8 hexadecimal digits) is that of
the bytes before its comma. Kinds:

- `H,{json}`: first line; schema, id, robot with all its numbers, origin of the data.
- `R,index,begins,vx,vy,wz,values...,tick`: a transition row. `index` counts the journal's rows
  from 0, `begins` is 1 on the first row of an episode, `tick` is its line of `*.ticks.csv`.
- `G,{json}`: all ticks since the row before that left none (`RowGap`), so far; the last such line
  before a row holds.

Schema 1 had no id, no robot, no `index`, no `tick` and a bare `G`; and `P,name` at the end, where
the rows stood in the segment of that name already. It is still read.

A line that doesn't end, or whose CRC differs, is no data; the row after it begins an episode.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import zlib
from dataclasses import asdict
from pathlib import Path

import numpy as np

from rwmu_deploy.collection.disk import Disk, write_all
from rwmu_deploy.collection.row_gap import RowGap
from rwmu_deploy.collection.transition_row import TransitionRow
from rwmu_deploy.collection.transition_segment import SegmentOrigin
from rwmu_deploy.contract.errors import LogError
from rwmu_deploy.contract.robot_spec import RobotSpec, spec_to_dict

SCHEMA = "rwmu.journal/2"
SCHEMA_1 = "rwmu.journal/1"


def checked_line(body: str) -> bytes:
    """A line with its CRC and newline."""
    data = body.encode("ascii")
    return b"%s,%08x\n" % (data, zlib.crc32(data))


def row_line(row: TransitionRow, index: int, tick_line: str, *, begins: bool) -> bytes:
    """The line of a row; nine digits, which a float32 survives exactly."""
    numbers = np.concatenate([row.velocity_command, row.values]).astype(np.float32)
    text = ",".join(["%.9g"] * len(numbers)) % tuple(numbers.tolist())
    return checked_line(f"R,{index},{int(begins)},{text},{tick_line}")


def gap_line(gap: RowGap) -> bytes:
    """The line of a gap."""
    return checked_line(f"G,{json.dumps(gap.to_dict())}")


class TransitionJournal:
    """A journal under the next free name `transitions-{i}.journal`.

    Every line is handed to the system whole, so a killed process loses none. `sync` puts them on
    the disk, so a power failure takes what came after the last one. While it is open it is locked
    (flock), which says that a live process still writes to it.

    Raises:
        LogError: The folder can't be made or written to.
    """

    def __init__(self, folder: Path, spec: RobotSpec, origin: SegmentOrigin, disk: Disk) -> None:
        self._disk = disk
        self.id = secrets.token_hex(8)
        header = {
            "schema": SCHEMA,
            "id": self.id,
            "robot": spec.name,
            "robot_sha256": spec.sha256,
            "spec": spec_to_dict(spec),
            "origin": asdict(origin),
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.path, self._descriptor = _open_new(folder, disk)
            try:
                write_all(disk, self._descriptor, checked_line(f"H,{json.dumps(header)}"))
                disk.fdatasync(self._descriptor)
                _sync_names(folder, disk)
            except OSError:
                disk.remove(self.path)
                disk.close(self._descriptor)
                raise
        except OSError as error:
            raise LogError(
                f"no journal can be written to {folder}: {error}",
                fix="Free the disk or correct the folder's rights.",
            ) from error
        self._torn = False
        self._synced = True

    def append(self, lines: bytes) -> None:
        """Write lines whole.

        Raises:
            OSError: The disk refuses. A part may stand there; the next line starts on its own.
        """
        start = b"\n" if self._torn else b""
        self._torn, self._synced = True, False
        write_all(self._disk, self._descriptor, start + lines)
        self._torn = False

    def sync(self) -> None:
        """Put everything so far on the disk.

        Raises:
            OSError: The disk refuses.
        """
        if not self._synced:
            self._disk.fdatasync(self._descriptor)
            self._synced = True

    def close(self) -> None:
        """Sync and close.

        Raises:
            OSError: The disk refuses; it is closed nevertheless.
        """
        try:
            self.sync()
        finally:
            self._disk.close(self._descriptor)

    def discard(self) -> None:
        """Delete it, because its rows are published or there are none.

        Raises:
            OSError: The disk refuses; it is closed nevertheless.
        """
        try:
            self._disk.remove(self.path)
        finally:
            self._disk.close(self._descriptor)


def _open_new(folder: Path, disk: Disk) -> tuple[Path, int]:
    index = 0
    while True:
        path = folder / f"transitions-{index}.journal"
        index += 1
        try:
            descriptor = disk.open_new(path)
        except FileExistsError:
            continue
        if _lock(descriptor):
            return path, descriptor
        disk.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a new journal; False where recovery was faster, and took it for an old one."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink > 0


def _sync_names(folder: Path, disk: Disk) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        disk.fsync(descriptor)
    finally:
        os.close(descriptor)
