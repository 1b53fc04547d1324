"""Log transitions beside the control loop: a journal line a row, and whole segments as CSV.

The loop's tick only puts a row into a queue. A thread of its own writes, so a slow or full disk
costs rows, which are counted, and never the robot's time.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rwmu_deploy.collection.segment_buffer import SegmentBuffer
from rwmu_deploy.collection.transition_journal import TransitionJournal, checked_line, row_line
from rwmu_deploy.collection.transition_row import (
    EpisodeGap,
    LoggedTick,
    TransitionRow,
    TransitionRows,
)
from rwmu_deploy.collection.transition_segment import SegmentOrigin, Source, write_segment
from rwmu_deploy.contract.errors import ConfigError, LogError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns

QUEUE_SIZE = 500
"""Rows that may wait for the disk: 10 s at 50 Hz."""
ROWS_PER_SEGMENT = 10_000
_SYNC_PERIOD_S = 1.0
_POLL_S = 0.2
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LogSummary:
    """What became of the rows."""

    rows: int
    """Rows in published segments."""
    segments: tuple[Path, ...]
    """Their CSV files."""
    dropped: int
    """Rows that found the queue full."""
    failures: int
    """Times that the disk refused. Rows of a segment that failed are in its journal."""
    unpublished: int
    """Rows that are in no segment because it failed."""


class TransitionLogger:
    """Writes what `on_tick` is told to a folder, until `close`.

    Args:
        folder: Where segments and journals go; created if missing.
        spec: The robot.
        source: "sim" or "real".
        bundle_sha256: Hash of the bundle whose policy acts.
        torque_source: What the torque columns are ("measured", "simulated", ...).
        contact_source: What the contact columns are.
        base_velocity_source: What the base velocity columns are.
        note: Free text for the sidecar.
        variant: Name, seed and values of a simulated robot's variant, for the sidecar.
        rows_per_segment: Rows after which a segment is published.
        may_wait: Let `on_tick` wait for the disk. For simulations faster than real time only.

    Raises:
        LogError: The folder can't be written to, or the robot's rows can't be put together.
        ConfigError: `rows_per_segment` is below 1.
    """

    def __init__(
        self,
        folder: Path,
        spec: RobotSpec,
        *,
        source: Source,
        bundle_sha256: str | None = None,
        torque_source: str = "measured",
        contact_source: str = "estimated",
        base_velocity_source: str = "estimated",
        note: str = "",
        variant: Mapping[str, Any] | None = None,
        rows_per_segment: int = ROWS_PER_SEGMENT,
        may_wait: bool = False,
    ) -> None:
        if not rows_per_segment >= 1:
            raise ConfigError(
                f"rows per segment is {rows_per_segment}; allowed is 1 or more",
                fix="Give a positive number of rows.",
            )
        self._folder = folder
        self._spec = spec
        self._origin = SegmentOrigin(
            source=source,
            torque_source=torque_source,
            contact_source=contact_source,
            base_velocity_source=base_velocity_source,
            bundle_sha256=bundle_sha256,
            note=note,
            variant=variant,
        )
        self._rows_per_segment = rows_per_segment
        self._may_wait = may_wait
        self._rows = TransitionRows(spec)
        self._buffer = SegmentBuffer(TransitionColumns.of(spec))
        self._queue: queue.Queue[TransitionRow | EpisodeGap] = queue.Queue(QUEUE_SIZE)
        self._lost_gap = False
        self._journal: TransitionJournal | None = TransitionJournal(folder, spec, self._origin)
        self._journalled = False
        self._synced_s = time.monotonic()
        self._written = self._dropped = self._failures = self._unpublished = 0
        self._segments: list[Path] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="transition-logger", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Rows that found the queue full so far."""
        return self._dropped

    @property
    def failures(self) -> int:
        """Times that the disk refused so far."""
        return self._failures

    def on_tick(self, tick: LoggedTick) -> None:
        """Take a tick; never waits for the disk. After `close` nothing is taken."""
        if self._closing.is_set():
            return
        event = self._rows.take(tick)
        if event is None:
            return
        try:
            if self._may_wait:
                self._queue.put(event)
            else:
                self._queue.put_nowait(event)
            self._lost_gap = False
        except queue.Full:
            self._rows.break_off()
            self._lost_gap = True
            self._dropped += isinstance(event, TransitionRow)

    def close(self) -> LogSummary:
        """Write what is left, publish it, and say what became of everything."""
        self._closing.set()
        self._thread.join()
        return LogSummary(
            self._written,
            tuple(self._segments),
            self._dropped,
            self._failures,
            self._unpublished,
        )

    def _run(self) -> None:
        while True:
            # Read before the queue: what was put before closing is then surely in there.
            closing = self._closing.is_set()
            try:
                self._take(self._queue.get(timeout=0.0 if closing else _POLL_S))
            except queue.Empty:
                if closing:
                    break
            self._sync_when_due()
        if self._lost_gap:
            self._buffer.end_episode("gap")
        self._publish()
        self._discard_journal()

    def _take(self, event: TransitionRow | EpisodeGap) -> None:
        if isinstance(event, EpisodeGap):
            self._buffer.end_episode("gap")
            self._append(checked_line("G"))
            return
        self._buffer.add(event.values, event.velocity_command, begins=event.begins)
        self._append(row_line(event))
        if len(self._buffer) >= self._rows_per_segment:
            self._publish()

    def _append(self, line: bytes) -> None:
        try:
            if self._journal is None:
                self._journal = TransitionJournal(self._folder, self._spec, self._origin)
            self._journal.append(line)
            self._journalled = True
        except (OSError, LogError) as error:
            self._fail("a journal line", error)

    def _sync_when_due(self) -> None:
        now_s = time.monotonic()
        if self._journal is None or now_s - self._synced_s < _SYNC_PERIOD_S:
            return
        self._synced_s = now_s
        try:
            self._journal.sync()
        except OSError as error:
            self._fail("the journal", error)

    def _publish(self) -> None:
        """Make a segment of the rows so far; if that fails, they stay in their journal."""
        count = len(self._buffer)
        if count == 0:
            return
        rows, spans = self._buffer.take()
        try:
            path = write_segment(self._folder, self._spec, rows, spans, self._origin)
        except LogError as error:
            self._unpublished += count
            self._fail(f"a segment of {count} rows", error)
            self._leave_journal()
            return
        self._written += count
        self._segments.append(path)
        self._append(checked_line(f"P,{path.name}"))
        self._journalled = False
        self._discard_journal()

    def _leave_journal(self) -> None:
        journal, self._journal, self._journalled = self._journal, None, False
        if journal is not None:
            try:
                journal.close()
            except OSError as error:
                self._fail("the journal", error)

    def _discard_journal(self) -> None:
        """Delete the journal whose rows are all published; keep one that still has some."""
        if self._journal is None:
            return
        path, has_rows = self._journal.path, self._journalled
        self._leave_journal()
        if not has_rows:
            path.unlink(missing_ok=True)

    def _fail(self, what: str, error: Exception) -> None:
        self._failures += 1
        if self._failures == 1:
            _logger.error("%s can't be written: %s", what, error)
