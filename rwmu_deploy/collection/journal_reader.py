"""Read a journal, also one that a crash left: every row whose CRC is right, and no other."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.collection.row_gap import MissingRow, RowGap
from rwmu_deploy.collection.transition_journal import SCHEMA, SCHEMA_1
from rwmu_deploy.contract.errors import LogError, RobotSpecError
from rwmu_deploy.contract.robot_spec import spec_from_dict
from rwmu_deploy.contract.transition_columns import TransitionColumns


@dataclass(frozen=True)
class JournalRow:
    """A row as the journal has it."""

    values: NDArray[np.float64]
    """Shape (C,)."""
    velocity_command: tuple[float, float, float]
    begins: bool
    tick_line: str
    """Its line of `*.ticks.csv`; empty in schema 1."""
    gap: RowGap
    """Ticks since the row before that left none, damaged lines included."""


@dataclass(frozen=True)
class BadLine:
    """A line that was torn or altered."""

    number: int
    """From 1."""
    offset: int
    """Byte at which it starts."""
    what: str


@dataclass
class JournalContents:
    """What a journal still says."""

    header: dict[str, Any] | None = None
    """None where not even its first line is whole."""
    rows: list[JournalRow] = field(default_factory=list)
    last_gap: RowGap = field(default_factory=RowGap)
    """After the last row."""
    breaks_off: bool = False
    """Whether rows may be missing after the last one."""
    published: str | None = None
    """Name of the segment that has the rows already, in schema 1."""
    bad_lines: list[BadLine] = field(default_factory=list)
    lost_rows: int = 0
    """Rows that are known to have stood there, by the numbers of those around them."""


def read_journal(path: Path) -> JournalContents:
    """Read a journal.

    Raises:
        LogError: The file can't be read; or it has more than a torn first line, but no header.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LogError(f"{path} can't be read: {error}", fix="Give a journal's path.") from error
    contents = _Lines(path)
    offset = 0
    *lines, tail = data.split(b"\n")
    for number, line in enumerate(lines, start=1):
        contents.take(line, number, offset)
        offset += len(line) + 1
    if tail:
        contents.spoil(len(lines) + 1, offset, "it is cut off")
    return contents.end(has_lines=bool(lines))


class _Lines:
    """Puts lines together, one after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found = JournalContents()
        self._columns = 0
        self._is_old = False
        # Since the last row: what the log said, whether it began, and whether a line was bad.
        self._gap = RowGap()
        self._gap_began = False
        self._broken = False

    def take(self, line: bytes, number: int, offset: int) -> None:
        body = _checked_body(line)
        if body is None:
            # An empty line ends a torn one of which nothing was written.
            if line:
                self.spoil(number, offset, "its checksum differs")
            self._broken = True
            return
        kind, _, rest = body.partition(",")
        try:
            if self._found.header is None:
                if kind != "H":
                    raise ValueError("a header comes first")
                self._read_header(json.loads(rest))
            elif kind == "R":
                self._read_row(rest)
            elif kind == "G":
                self._gap = RowGap() if self._is_old else RowGap.from_dict(json.loads(rest))
                self._gap_began = self._is_old or self._gap.breaks_episode
            elif kind == "P":
                self._found.published = rest
        except ValueError as error:
            self.spoil(number, offset, f"it can't be understood: {error}")

    def spoil(self, number: int, offset: int, what: str) -> None:
        self._found.bad_lines.append(BadLine(number, offset, what))
        self._broken = True

    def end(self, *, has_lines: bool) -> JournalContents:
        found = self._found
        if found.header is None and has_lines:
            raise LogError(
                f"{self._path} has no header of {SCHEMA}",
                fix="Give a journal that rwmu wrote, or restore its first line.",
            )
        found.last_gap = self._gap
        found.breaks_off = self._gap_began
        return found

    def _read_header(self, header: Any) -> None:
        schema = header.get("schema") if isinstance(header, dict) else None
        if schema not in (SCHEMA, SCHEMA_1) or not isinstance(header.get("origin"), dict):
            raise LogError(
                f"{self._path} has a header of {schema}; allowed is {SCHEMA}",
                fix="Give a journal that this version of rwmu can read.",
            )
        self._is_old = schema == SCHEMA_1
        if not self._is_old:
            try:
                spec = spec_from_dict(header["spec"], source=str(self._path))
            except (KeyError, RobotSpecError) as error:
                raise LogError(
                    f"{self._path}: its robot can't be read: {error}",
                    fix="Recover it with the version of rwmu that wrote it.",
                ) from error
            self._columns = TransitionColumns.of(spec).count
        self._found.header = header

    def _read_row(self, fields: str) -> None:
        if self._is_old:
            begins, *cells = fields.split(",")
            index, tick_line = len(self._found.rows), ""
        else:
            number, begins, *cells = fields.split(",", 5 + self._columns)
            if len(cells) != 4 + self._columns:
                raise ValueError(f"{len(cells)} fields")
            index, tick_line = int(number), cells.pop()
        values = np.array([float(cell) for cell in cells])
        if self._found.rows and len(values) != 3 + len(self._found.rows[0].values):
            raise ValueError(f"{len(values)} numbers")
        missing = index - len(self._found.rows) - self._found.lost_rows
        if not (missing >= 0 and all(math.isfinite(value) for value in values.tolist())):
            raise ValueError("a row out of order, or not finite")
        gap = self._gap
        if missing:
            gap = gap.plus(MissingRow("journal_damaged", ticks=missing))
            self._found.lost_rows += missing
        vx, vy, wz = values[:3].tolist()
        begins_here = begins == "1" or self._broken or missing > 0
        row = JournalRow(values[3:], (vx, vy, wz), begins_here, tick_line, gap)
        self._found.rows.append(row)
        self._gap, self._gap_began, self._broken = RowGap(), False, False


def _checked_body(line: bytes) -> str | None:
    body, _, crc = line.rpartition(b",")
    if len(crc) == 8 and b"%08x" % zlib.crc32(body) == crc:
        return body.decode("latin-1")
    return None
