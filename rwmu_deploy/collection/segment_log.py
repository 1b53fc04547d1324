"""What a logger knows of a segment beyond its rows: their ticks, and where rows are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rwmu_deploy.collection.row_gap import RowGap


@dataclass(frozen=True)
class PlacedGap:
    """Rows that are missing between two rows of a segment."""

    after_row: int
    """-1: before the first row."""
    gap: RowGap

    def to_dict(self) -> dict[str, Any]:
        """As meta.json has it."""
        return {"after_row": self.after_row, **self.gap.to_dict()}

    @classmethod
    def from_dict(cls, document: Any, row_count: int) -> PlacedGap:
        """Read what `to_dict` gave.

        Raises:
            ValueError: It is something else, or lies outside the rows.
        """
        gap = RowGap.from_dict(document)
        after_row = document.get("after_row")
        if not (isinstance(after_row, int) and -1 <= after_row < row_count):
            raise ValueError(f"gap after row {after_row} of {row_count}")
        return cls(after_row, gap)


@dataclass(frozen=True)
class SegmentLog:
    """Goes into the sidecar of a segment that was logged."""

    journal: str
    """Id of the journal that has the same rows, so that recovery doesn't publish them again."""
    gaps: Sequence[PlacedGap]
    """In the order of rows."""
    tick_lines: Sequence[str] | None
    """One a row, without newlines; None where the journal is too old to have them."""


class SegmentNotes:
    """Collects ticks and gaps beside the rows of a `SegmentBuffer`."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._gaps: list[PlacedGap] = []

    def add(self, tick_line: str, gap: RowGap) -> None:
        """Take a row's line, and the gap before the row."""
        self._place(gap)
        self._lines.append(tick_line)

    def take(self, journal: str, last_gap: RowGap) -> SegmentLog:
        """Hand out everything, with the gap after the last row, and start anew.

        A line that is empty makes all of them unknown.
        """
        self._place(last_gap)
        lines = self._lines if all(self._lines) else None
        log = SegmentLog(journal, self._gaps, lines)
        self._lines, self._gaps = [], []
        return log

    def _place(self, gap: RowGap) -> None:
        if gap.ticks:
            self._gaps.append(PlacedGap(len(self._lines) - 1, gap))
