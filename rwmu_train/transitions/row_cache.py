"""Keep the rows of a CSV beside it as float32, so that it is parsed once.

`state_action_data_0.csv.rows` begins with a page of JSON, which names the CSV by size, time of
change, inode and sha256; then come the rows, which are mapped into memory. A cache counts while
the CSV's size, time and inode are those, else if the CSV still has the hash. Its own rows have a
checksum. It may be deleted at any time. N = rows, C = columns.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import time
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.transitions.csv_reader import csv_blocks, read_csv_rows

SCHEMA = "rwmu.rows/1"
_HEADER_BYTES = 4096
_NUMBER_BYTES = np.dtype(np.float32).itemsize
_HASHED_BYTES = 1 << 22
# A file that was written to within the clock's grain before it was read may be written to once
# more without a change of its time.
_CLOCK_GRAIN_NS = 2_000_000_000


@dataclass(frozen=True)
class _Header:
    columns: int
    rows: int
    rows_crc32: int
    csv_sha256: str
    csv_size: int
    csv_modified_ns: int
    csv_inode: int
    read_ns: int
    """When the CSV had this hash."""
    schema: str = SCHEMA

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode().ljust(_HEADER_BYTES)

    def names(self, status: os.stat_result) -> bool:
        """Whether a CSV is, as far as its status tells, the one that was read."""
        same = (status.st_size, status.st_mtime_ns, status.st_ino) == (
            self.csv_size,
            self.csv_modified_ns,
            self.csv_inode,
        )
        return same and self.csv_modified_ns < self.read_ns - _CLOCK_GRAIN_NS


def cache_path(csv: Path) -> Path:
    """Where the rows of a CSV are kept."""
    return csv.with_name(csv.name + ".rows")


def cached_csv_rows(
    csv: Path, columns: TransitionColumns, *, trust_times: bool = True
) -> tuple[NDArray[np.float32], str]:
    """Rows of a CSV out of its cache; parsed, and kept for the next time, if it has none.

    Where nothing can be written beside the CSV, it is parsed every time.

    Args:
        csv: The file.
        columns: C of them are in every row.
        trust_times: Take a CSV of unchanged size, time and inode for unchanged; if not, hash it.

    Returns:
        Rows, shape (N, C), finite float32, a private mapping: writing to it changes no file; and
        the sha256 of the CSV.

    Raises:
        TransitionFileError: As `read_csv_rows`.
    """
    found = _open_cache(csv, columns, trust_times)
    if found is None:
        with contextlib.suppress(OSError):
            _write_cache(csv, columns)
            found = _open_cache(csv, columns, trust_times=True)
    return found or read_csv_rows(csv, columns)


def _open_cache(
    csv: Path, columns: TransitionColumns, trust_times: bool
) -> tuple[NDArray[np.float32], str] | None:
    """What the cache holds if it belongs to the CSV as it is now; None if not."""
    path = cache_path(csv)
    try:
        header = _read_header(path)
        shape = (header.rows, columns.count)
        size = _HEADER_BYTES + header.rows * columns.count * _NUMBER_BYTES
        if (header.schema, header.columns) != (SCHEMA, columns.count) or (
            path.stat().st_size != size
        ):
            return None
        if not (trust_times and header.names(csv.stat())) and not _renewed(csv, path, header):
            return None
        rows = np.memmap(path, np.float32, "c", _HEADER_BYTES, shape)
    except (OSError, ValueError, TypeError):
        return None
    if zlib.crc32(rows.data) != header.rows_crc32:
        return None
    return np.asarray(rows), header.csv_sha256


def _read_header(path: Path) -> _Header:
    with open(path, "rb") as file:
        document: dict[str, Any] = json.loads(file.read(_HEADER_BYTES))
    return _Header(**document)


def _renewed(csv: Path, path: Path, header: _Header) -> bool:
    """Whether the CSV still has the hash; if so, the cache takes note of its new status."""
    read_ns, status = time.time_ns(), csv.stat()
    digest = hashlib.sha256()
    with open(csv, "rb") as file:
        while data := file.read(_HASHED_BYTES):
            digest.update(data)
    if digest.hexdigest() != header.csv_sha256:
        return False
    renewed = replace(
        header,
        csv_size=status.st_size,
        csv_modified_ns=status.st_mtime_ns,
        csv_inode=status.st_ino,
        read_ns=read_ns,
    )
    with contextlib.suppress(OSError), open(path, "r+b") as file:
        file.write(renewed.to_bytes())
    return True


def _write_cache(csv: Path, columns: TransitionColumns) -> None:
    """Parse a CSV into its cache, which appears whole or not at all.

    Raises:
        OSError: Nothing can be written there.
        TransitionFileError: The CSV is refused.
    """
    path = cache_path(csv)
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    read_ns, status = time.time_ns(), csv.stat()
    digest, crc32, row_count = hashlib.sha256(), 0, 0
    try:
        with open(temporary, "xb") as file:
            file.seek(_HEADER_BYTES)
            for block in csv_blocks(csv, columns, digest.update):
                file.write(block.data)
                crc32 = zlib.crc32(block.data, crc32)
                row_count += len(block)
            header = _Header(
                columns=columns.count,
                rows=row_count,
                rows_crc32=crc32,
                csv_sha256=digest.hexdigest(),
                csv_size=status.st_size,
                csv_modified_ns=status.st_mtime_ns,
                csv_inode=status.st_ino,
                read_ns=read_ns,
            )
            file.seek(0)
            file.write(header.to_bytes())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
