"""The disk side of a log: a journal line a row, whole segments, and what to do when it refuses.

One thread calls it; time is passed in.
"""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from rwmu_deploy.collection.disk import Disk
from rwmu_deploy.collection.row_gap import GapCause, MissingRow, RowGap
from rwmu_deploy.collection.segment_buffer import SegmentBuffer
from rwmu_deploy.collection.segment_log import SegmentNotes
from rwmu_deploy.collection.tick_line import tick_line
from rwmu_deploy.collection.transition_journal import TransitionJournal, gap_line, row_line
from rwmu_deploy.collection.transition_row import TransitionRow
from rwmu_deploy.collection.transition_segment import SegmentOrigin, write_segment
from rwmu_deploy.contract.errors import LogError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns

_PERIOD_S = 1.0
"""Between two looks at the disk: sync, and free space."""
_logger = logging.getLogger(__name__)


class LogWriter:
    """Rows into a journal, and the same rows as segments.

    A row counts once its whole line was handed to the system. A row that is refused leaves a gap,
    and the next one tries again; so does everything else.

    Args:
        folder: Where segments and journals go; created if missing.
        spec: The robot.
        origin: For the sidecars.
        rows_per_segment: Rows after which a segment is published.
        free_floor_bytes: With less free space than this nothing is written.
        disk: The machine's.
        now_s: Monotonic time.

    Raises:
        LogError: The folder can't be written to, or has less room than the floor.
    """

    def __init__(
        self,
        folder: Path,
        spec: RobotSpec,
        origin: SegmentOrigin,
        *,
        rows_per_segment: int,
        free_floor_bytes: float,
        disk: Disk,
        now_s: float,
    ) -> None:
        self._folder = folder
        self._spec = spec
        self._origin = origin
        self._rows_per_segment = rows_per_segment
        self._free_floor_bytes = free_floor_bytes
        self._disk = disk
        self._looked_s = now_s
        self._buffer = SegmentBuffer(TransitionColumns.of(spec))
        self._notes = SegmentNotes()
        # Rows that were refused since the last one that wasn't, with the gaps before them.
        self._gap = RowGap()
        self._troubles: dict[str, str] = {}
        self._said: set[str] = set()
        self.journalled = 0
        """Rows handed to the system."""
        self.published = 0
        self.unpublished = 0
        """Rows that are in no segment because that failed; their journal was left."""
        self.dropped: Counter[GapCause] = Counter()
        self.failures = 0
        self.segments: list[Path] = []
        self.failing = ""
        """Why a row would be refused now; empty where none would."""
        self._journal: TransitionJournal | None = self._new_journal()
        trouble = self._space_trouble()
        if trouble:
            self._journal.discard()
            raise LogError(f"{folder}: {trouble}", fix="Free the disk, or log to another one.")

    def take(self, row: TransitionRow | None, gap: RowGap) -> None:
        """Take a row.

        Args:
            row: None to tell only of the gap so far.
            gap: All ticks since the latest row that left none.
        """
        gap = self._gap.merged(gap)
        if row is not None:
            self._take_row(row, gap)
            return
        if gap.breaks_episode:
            self._buffer.end_episode("gap")
        if "space" not in self._troubles:
            # A crash within the gap then still tells of it.
            self._append(gap_line(gap))
            if {"damp", "stopped"} & set(gap.causes):
                self._sync()

    def look_after(self, now_s: float) -> None:
        """Once a second: put everything on the disk, and see how much room there is."""
        if not 0.0 <= now_s - self._looked_s < _PERIOD_S:
            self._looked_s = now_s
            self._look_at_space()
            self._sync()

    def finish(self, last_gap: RowGap) -> None:
        """Publish what is left, with the gap after it, and close the journal."""
        gap = self._gap.merged(last_gap)
        if gap.breaks_episode:
            self._buffer.end_episode("gap")
        self._look_at_space()
        if gap.ticks and len(self._buffer) and "space" not in self._troubles:
            self._append(gap_line(gap))
        if len(self._buffer):
            self._publish(gap)
        elif self._journal is not None:
            self._discard(self._journal)

    def _take_row(self, row: TransitionRow, gap: RowGap) -> None:
        # Also where the row before it got lost, which the row can't know.
        begins = row.begins or gap.ticks > 0
        line = tick_line(row.note, self._spec.joint_count)
        lines = row_line(row, len(self._buffer), line, begins=begins)
        if gap.ticks:
            lines = gap_line(gap) + lines
        cause: GapCause | None = None
        if "space" in self._troubles:
            cause = "disk_low"
        elif not self._append(lines):
            cause = "disk_refused"
        if cause is not None:
            self._gap = gap.plus(MissingRow(cause))
            self.dropped[cause] += 1
            self._buffer.end_episode("gap")
            return
        self._gap = RowGap()
        self._buffer.add(row.values, row.velocity_command, begins=begins)
        self._notes.add(line, gap)
        self.journalled += 1
        if len(self._buffer) >= self._rows_per_segment:
            self._publish(RowGap())

    def _append(self, lines: bytes) -> bool:
        try:
            if self._journal is None:
                self._journal = self._new_journal()
            self._journal.append(lines)
        except (OSError, LogError) as error:
            self._fail("write", f"the journal can't be written: {error}")
            return False
        self._works("write")
        return True

    def _sync(self) -> None:
        if self._journal is None:
            return
        try:
            self._journal.sync()
        except OSError as error:
            self._fail("sync", f"the journal can't be put on the disk: {error}")
        else:
            self._works("sync")

    def _look_at_space(self) -> None:
        trouble = self._space_trouble()
        if not trouble:
            self._works("space")
        elif "space" not in self._troubles:
            self._fail("space", trouble)

    def _space_trouble(self) -> str:
        try:
            free_bytes = self._disk.free_bytes(self._folder)
        except OSError as error:
            return f"free space can't be told: {error}"
        if free_bytes >= self._free_floor_bytes:
            return ""
        free, floor = free_bytes / 1e9, self._free_floor_bytes / 1e9
        return f"{free:.3g} GB are free; allowed is {floor:.3g} GB or more"

    def _publish(self, last_gap: RowGap) -> None:
        """Make a segment of the rows so far; if that fails, they stay in their journal."""
        count, journal = len(self._buffer), self._journal
        assert journal is not None, "every row in the buffer is in a journal"
        rows, spans = self._buffer.take()
        log = self._notes.take(journal.id, last_gap)
        try:
            if "space" in self._troubles:
                raise LogError(self._troubles["space"], fix="Free the disk.")
            path = write_segment(
                self._folder, self._spec, rows, spans, self._origin, log=log, disk=self._disk
            )
        except LogError as error:
            self.unpublished += count
            self._count("segment", f"a segment of {count} rows stays in {journal.path}: {error}")
            self._leave(journal)
            return
        self.published += count
        self.segments.append(path)
        self._discard(journal)

    def _leave(self, journal: TransitionJournal) -> None:
        self._journal = None
        try:
            journal.close()
        except OSError as error:
            self._count("sync", f"the journal can't be put on the disk: {error}")

    def _discard(self, journal: TransitionJournal) -> None:
        self._journal = None
        try:
            journal.discard()
        except OSError as error:
            self._count("discard", f"{journal.path}, which is not needed, stays: {error}")

    def _new_journal(self) -> TransitionJournal:
        return TransitionJournal(self._folder, self._spec, self._origin, self._disk)

    def _fail(self, what: str, trouble: str) -> None:
        """Note a trouble that lasts until the same thing works again."""
        self._troubles[what] = trouble
        self.failing = "; ".join(self._troubles.values())
        self._count(what, trouble)

    def _works(self, what: str) -> None:
        if what in self._troubles:
            del self._troubles[what]
            self.failing = "; ".join(self._troubles.values())
            if f"{what} works" not in self._said:
                self._said.add(f"{what} works")
                _logger.warning("the log goes on; rows got lost: %s", dict(self.dropped))

    def _count(self, what: str, trouble: str) -> None:
        self.failures += 1
        if what not in self._said:
            self._said.add(what)
            _logger.error("%s", trouble)
