"""What became of the ticks that a logger was told, to the last one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class LogSummary:
    """ticks = rows + unpublished + dropped + sum of gap_ticks, exactly."""

    ticks: int
    """All that the logger was told."""
    rows: int
    """Rows in published segments."""
    segments: tuple[Path, ...]
    """Their CSV files."""
    unpublished: int
    """Rows that are in no segment, but in a journal that was left: recover them."""
    dropped: int
    """Rows that got nowhere."""
    dropped_by_cause: Mapping[str, int]
    """`queue_full`, `disk_low` (less room than the floor), `disk_refused`, `unwritten` (the disk
    hung when the log was closed)."""
    gap_ticks: Mapping[str, int]
    """Ticks that were no row, by cause (`GapCause`)."""
    skipped_periods: int
    """Points of the control grid that had no tick."""
    failures: int
    """Times that the disk refused, or had less room than the floor."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "segments": [str(path) for path in self.segments]}


@dataclass(frozen=True)
class LogStatus:
    """How a log is doing."""

    ticks: int
    rows: int
    """Rows handed to the system."""
    dropped: int
    failures: int
    failing: str
    """Why rows would get lost now; empty where they would not."""
