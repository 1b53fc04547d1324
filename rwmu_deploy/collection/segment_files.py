"""Names and numbers of a segment's files, and the lock under which they are given."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CSV_NAME = re.compile(r"state_action_data_(0|[1-9][0-9]*)\.csv")


@dataclass(frozen=True)
class SegmentPaths:
    """The files of a segment."""

    csv: Path
    ticks: Path
    """Only where a logger wrote the segment."""
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
            csv.with_name(f"{stem}.ticks.csv"),
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
