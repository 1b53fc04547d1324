"""Rows of a segment that is being collected, and the spans they fall into."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.collection.transition_segment import EpisodeSpan
from rwmu_deploy.contract.transition_columns import TransitionColumns

Command = tuple[float, float, float]
_ROWS_AT_ONCE = 100


class SegmentBuffer:
    """Collects rows of at most one segment in memory.

    Args:
        columns: Tells where the termination stands.
    """

    def __init__(self, columns: TransitionColumns) -> None:
        self._termination, self._columns = columns.termination.start, columns.count
        self._rows: list[NDArray[np.float64]] = []
        self._spans: list[EpisodeSpan] = []
        # The span that still grows: its first row and its command.
        self._open: tuple[int, Command] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def has_open_episode(self) -> bool:
        """Whether the next row may belong to the same episode as the last."""
        return self._open is not None

    def add(self, row: NDArray[np.float64], command: Command, *, begins: bool) -> None:
        """Add a row, shape (C,).

        Args:
            row: Finite values in column order.
            command: The velocity command that the policy saw at this state.
            begins: The row is the first of an episode; one still open ends with a gap.
        """
        if begins:
            self.end_episode("gap")
        if self._open is not None and self._open[1] != command:
            self._close_span("continues")
        if self._open is None:
            self._open = (len(self._rows), command)
        self._rows.append(row)
        if row[self._termination] > 0.0:
            self.end_episode("terminated")

    def end_episode(self, end: Literal["terminated", "truncated", "gap"]) -> None:
        """End the episode after its latest row; nothing happens where none is open."""
        if self._open is not None:
            self._close_span(end)

    def take(self) -> tuple[NDArray[np.float64], list[EpisodeSpan]]:
        """Hand out rows, shape (N, C), with their spans, and start anew.

        An episode that was open ends as truncated: windows never cross a file.
        """
        self.end_episode("truncated")
        rows, spans = np.empty((len(self._rows), self._columns)), self._spans
        # Not at once: ten thousand rows would hold the interpreter lock for a whole tick.
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            rows[start : start + _ROWS_AT_ONCE] = self._rows[start : start + _ROWS_AT_ONCE]
        self._rows, self._spans = [], []
        return rows, spans

    def _close_span(self, end: Literal["terminated", "truncated", "gap", "continues"]) -> None:
        assert self._open is not None
        first_row, command = self._open
        self._spans.append(EpisodeSpan(first_row, len(self._rows) - 1, end, command))
        self._open = None
