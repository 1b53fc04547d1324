"""Read the numbers of one transition CSV, strictly: every number is right, or the file is refused.

General CSV parsers complete a torn last row in silence. Here the last line counts only if its
newline is there, every row must have every column, and nothing but plain decimal numbers is
accepted. Rows count from 0, lines from 1. N = rows, C = columns.
"""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_deploy.contract.transition_columns import TransitionColumns

_CHUNK_BYTES = 1 << 22
_LONGEST_LINE_BYTES = 1 << 20
_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
_ALLOWED_BYTES = b"0123456789+-.eE, \r\n"
_NUMBER = re.compile(r" *[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)? *")
_RESTORE = "Restore the file from its source, or remove it together with its sidecar."


def read_csv_rows(path: Path, columns: TransitionColumns) -> tuple[NDArray[np.float32], str]:
    """Read a CSV whole.

    Memory stays near the size of the result: the text is parsed a few megabytes at a time.

    Returns:
        Rows, shape (N, C), N >= 1, finite float32; and the sha256 of the file's bytes.

    Raises:
        TransitionFileError: The file is missing, empty or torn, or a row has another number of
            columns or something that is not a finite float32.
    """
    digest = hashlib.sha256()
    parts: list[NDArray[np.float32]] = []
    row_count = 0
    rest = b""
    try:
        with open(path, "rb") as file:
            while data := file.read(_CHUNK_BYTES):
                digest.update(data)
                text = rest + data
                end = text.rfind(b"\n") + 1
                rest = text[end:]
                if len(rest) > _LONGEST_LINE_BYTES:
                    raise TransitionFileError(
                        f"{path}: a line has more than {_LONGEST_LINE_BYTES} bytes; allowed is "
                        f"one row of {columns.count} numbers a line",
                        fix=_RESTORE,
                    )
                if end:
                    part = _parse_lines(path, text[:end], columns, row_count)
                    parts.append(part)
                    row_count += len(part)
    except OSError as error:
        raise TransitionFileError(
            f"{path} can't be read: {error.strerror}", fix="Give the path of a readable CSV."
        ) from error
    if rest:
        raise TransitionFileError(
            f"{path}: row {row_count} (line {row_count + 1}) is cut off: the file ends without a "
            "newline",
            fix=_RESTORE,
        )
    if not parts:
        raise TransitionFileError(f"{path} is empty; allowed is 1 row or more", fix=_RESTORE)
    return (parts[0] if len(parts) == 1 else np.concatenate(parts)), digest.hexdigest()


def _parse_lines(
    path: Path, text: bytes, columns: TransitionColumns, first_row: int
) -> NDArray[np.float32]:
    line_count = text.count(b"\n")
    if text.translate(None, _ALLOWED_BYTES) or text.count(b",") != line_count * (
        columns.count - 1
    ):
        _refuse(path, text, columns, first_row)
    try:
        frame = pd.read_csv(
            io.BytesIO(text),
            header=None,
            dtype=np.float64,
            engine="c",
            na_filter=False,
            skip_blank_lines=False,
            low_memory=False,
        )
    except ValueError:
        _refuse(path, text, columns, first_row)
    if frame.shape != (line_count, columns.count):
        _refuse(path, text, columns, first_row)
    with np.errstate(over="ignore"):
        rows = frame.to_numpy().astype(np.float32)
    if not np.isfinite(rows).all():
        _refuse(path, text, columns, first_row)
    return rows


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
