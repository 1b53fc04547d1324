"""Read the numbers of one transition CSV, strictly: every number is right, or the file is refused.

General CSV parsers complete a torn last row in silence. Here the last line counts only if its
newline is there, every row must have every column, and nothing but plain decimal numbers is
accepted. Rows count from 0, lines from 1. N = rows, C = columns.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.transitions.csv_numbers import SLACK_BYTES, parse_rows

_CHUNK_BYTES = 1 << 21
_LONGEST_LINE_BYTES = 1 << 20
_UNSURE_NUMBERS = 1 << 12
_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
_NUMBER = re.compile(r" *[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)? *")
_RESTORE = "Restore the file from its source, or remove it together with its sidecar."


def read_csv_rows(path: Path, columns: TransitionColumns) -> tuple[NDArray[np.float32], str]:
    """Read a CSV whole.

    Returns:
        Rows, shape (N, C), N >= 1, finite float32; and the sha256 of the file's bytes.

    Raises:
        TransitionFileError: As `csv_blocks`.
    """
    digest = hashlib.sha256()
    blocks = [block.copy() for block in csv_blocks(path, columns, digest.update)]
    return (blocks[0] if len(blocks) == 1 else np.concatenate(blocks)), digest.hexdigest()


def csv_blocks(
    path: Path, columns: TransitionColumns, on_text: Callable[[memoryview], object]
) -> Iterator[NDArray[np.float32]]:
    """Rows of a CSV in order, a few megabytes at a time, parsed on all processors.

    Args:
        path: The CSV.
        columns: Every line has C of them.
        on_text: Told all bytes of the file, such as `update` of a hash.

    Yields:
        Finite rows, shape (any, C), valid until the next block is asked for.

    Raises:
        TransitionFileError: The file is missing, empty or torn, or a row has another number of
            columns or something that is not a finite float32.
    """
    row_count = 0
    torn = False
    try:
        with open(path, "rb", buffering=0) as file:
            for chunk in _parsed_in_order(path, file, columns, on_text):
                row_count += len(chunk.rows)
                if chunk.bad_lines:
                    _refuse(path, chunk.bad_lines, columns, row_count)
                torn = chunk.torn
                if len(chunk.rows):
                    yield chunk.rows
    except OSError as error:
        raise TransitionFileError(
            f"{path} can't be read: {error.strerror}", fix="Give the path of a readable CSV."
        ) from error
    if torn:
        raise TransitionFileError(
            f"{path}: row {row_count} (line {row_count + 1}) is cut off: the file ends without a "
            "newline",
            fix=_RESTORE,
        )
    if row_count == 0:
        raise TransitionFileError(f"{path} is empty; allowed is 1 row or more", fix=_RESTORE)


class _Chunk:
    """Whole lines of text and their rows, in memory that is used again and again."""

    def __init__(self, room: int, column_count: int) -> None:
        self.memory = bytearray(room + SLACK_BYTES)
        self.text = np.frombuffer(self.memory, dtype=np.uint8)
        self.size = 0
        """Bytes of the whole lines."""
        self.torn = False
        """Whether the file ends within a line after these."""
        self.rows = np.empty((0, column_count), dtype=np.float32)
        """Of the lines before the first bad one."""
        self.bad_lines = b""
        """From the first bad line on."""
        bytes_of_shortest_line = 2 * column_count
        self._rows = np.empty((room // bytes_of_shortest_line, column_count), dtype=np.float32)
        self._unsure = np.empty((_UNSURE_NUMBERS, 3), dtype=np.int64)

    def parse(self) -> _Chunk:
        """Fill in `rows` and `bad_lines`."""
        at = row_count = 0
        self.bad_lines = b""
        while at < self.size and not self.bad_lines:
            text, rows = self.text[at:], self._rows[row_count:]
            lines, used, unsure = parse_rows(text, self.size - at, rows, self._unsure)
            bad = lines == 0 or not _settle(text, rows, self._unsure[:unsure])
            if bad:
                self.bad_lines = self.text[at : self.size].tobytes()
            else:
                at, row_count = at + used, row_count + lines
        self.rows = self._rows[:row_count]
        return self


def _settle(text: NDArray[np.uint8], rows: NDArray[np.float32], unsure: NDArray[np.int64]) -> bool:
    """Fill in the numbers that the fast parser left open; False if one isn't finite."""
    flat = rows.reshape(-1)
    for index, first, end in unsure.tolist():
        number = float(text[first:end].tobytes())
        if not abs(number) <= _LARGEST_FLOAT32:
            return False
        flat[index] = number
    return True


def _parsed_in_order(
    path: Path,
    file: BinaryIO,
    columns: TransitionColumns,
    on_text: Callable[[memoryview], object],
) -> Iterator[_Chunk]:
    threads = os.cpu_count() or 1
    # As many as can wait, and one that is being filled while another is looked at.
    room = _LONGEST_LINE_BYTES + _CHUNK_BYTES
    size = os.fstat(file.fileno()).st_size
    room = min(room, 2 * size + 1)
    if size <= _CHUNK_BYTES:
        # Threads would take longer to start than so small a file takes to parse.
        for chunk in _filled(path, file, [_Chunk(room, columns.count)], columns, on_text):
            yield chunk.parse()
        return
    ring = [_Chunk(room, columns.count) for _ in range(threads + 2)]
    waiting: deque[Future[_Chunk]] = deque()
    with ThreadPoolExecutor(threads, "csv") as pool:
        for chunk in _filled(path, file, ring, columns, on_text):
            waiting.append(pool.submit(chunk.parse))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _filled(
    path: Path,
    file: BinaryIO,
    ring: list[_Chunk],
    columns: TransitionColumns,
    on_text: Callable[[memoryview], object],
) -> Iterator[_Chunk]:
    """Chunks of whole lines; what is left of a line goes to the next chunk."""
    rest = np.empty(0, dtype=np.uint8)
    for chunk in itertools.cycle(ring):
        text = chunk.text
        text[: len(rest)] = rest
        free = text[len(rest) : -SLACK_BYTES][:_CHUNK_BYTES]
        count = file.readinto(free)  # type: ignore[attr-defined]
        on_text(free[:count].data)
        filled = len(rest) + count
        chunk.size = chunk.memory.rfind(b"\n", 0, filled) + 1
        rest = text[chunk.size : filled].copy()
        chunk.torn = count == 0 and len(rest) > 0
        if len(rest) > _LONGEST_LINE_BYTES:
            raise TransitionFileError(
                f"{path}: a line has more than {_LONGEST_LINE_BYTES} bytes; allowed is one row of "
                f"{columns.count} numbers a line",
                fix=_RESTORE,
            )
        yield chunk
        if count == 0:
            return


def _refuse(path: Path, text: bytes, columns: TransitionColumns, first_row: int) -> NoReturn:
    """Find the first thing that is wrong in refused text, and raise it."""
    for row, line in enumerate(text[:-1].split(b"\n"), start=first_row):
        where = f"{path}: row {row} (line {row + 1})"
        cells = line.removesuffix(b"\r").decode("latin-1").split(",")
        if row == 0 and sum(_NUMBER.fullmatch(cell) is None for cell in cells) > len(cells) / 2:
            raise TransitionFileError(
                f"{where} begins with {cells[0][:40]!r}; allowed are numbers, there is no header",
                fix="Write the CSV without a header.",
            )
        if len(cells) != columns.count:
            raise TransitionFileError(
                f"{where} has {len(cells)} columns; allowed is {columns.count} "
                f"({_layout(columns)})",
                fix="Name the robot these data are of, or write the missing columns.",
            )
        for column, cell in enumerate(cells):
            number = float(cell) if _NUMBER.fullmatch(cell) else np.nan
            if not abs(number) <= _LARGEST_FLOAT32:
                raise TransitionFileError(
                    f"{where}, {columns.label(column)} is {cell[:40]!r}; allowed is a finite "
                    "decimal number that float32 can hold",
                    fix="Correct the program that wrote it, or leave the row out and mark a gap.",
                )
    raise TransitionFileError(
        f"{path}: rows from {first_row} on are not {columns.count} numbers a line", fix=_RESTORE
    )


def _layout(columns: TransitionColumns) -> str:
    privileged = (columns.action, columns.extension, columns.contact, columns.termination)
    sizes = [("state", columns.state_size), *((block.name, block.size) for block in privileged)]
    return ", ".join(f"{name} {size}" for name, size in sizes)
