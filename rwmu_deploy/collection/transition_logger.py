"""Log transitions beside the control loop: a journal line a row, and whole segments as CSV.

The loop's tick only puts a row into a queue. A thread of its own writes, so a slow or full disk
costs rows, which are counted, and never the robot's time.
"""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rwmu_deploy.collection.disk import Disk
from rwmu_deploy.collection.log_summary import LogStatus, LogSummary
from rwmu_deploy.collection.log_writer import LogWriter
from rwmu_deploy.collection.row_gap import MissingRow, RowGap
from rwmu_deploy.collection.transition_row import LoggedTick, TransitionRow, TransitionRows
from rwmu_deploy.collection.transition_segment import SegmentOrigin, Source
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.runtime.foot_motion import FootMotion

QUEUE_SIZE = 500
"""Rows that may wait for the disk: 10 s at 50 Hz."""
ROWS_PER_SEGMENT = 10_000
FREE_FLOOR_BYTES = 1e9
LOWEST_FLOOR_BYTES = 1e8
"""A segment, its journal and their copies while it is published need a third of it."""
CLOSE_S = 10.0
"""Longest time that the end of a run waits for the disk."""
_Event = tuple[TransitionRow | None, RowGap]
_POLL_S = 0.2
_GAP_TICKS = 50
"""Ticks after which a gap that goes on is told to the journal again."""
_logger = logging.getLogger(__name__)


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
        free_floor_bytes: With less free space than this no log is opened, and none goes on.
        close_s: Longest time that `close` waits for the disk.
        may_wait: Let `on_tick` and `close` wait for the disk as long as it takes. For simulations
            faster than real time only.
        disk: The machine's, where None.
        now_s: Monotonic time, for what is done once a second.

    Raises:
        LogError: The folder can't be written to or has less room than the floor, or the robot's
            rows can't be put together.
        ConfigError: `rows_per_segment` is below 1, or the floor below 0.1 GB.
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
        free_floor_bytes: float = FREE_FLOOR_BYTES,
        close_s: float = CLOSE_S,
        may_wait: bool = False,
        disk: Disk | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        if not rows_per_segment >= 1:
            raise ConfigError(
                f"rows per segment is {rows_per_segment}; allowed is 1 or more",
                fix="Give a positive number of rows.",
            )
        if not LOWEST_FLOOR_BYTES <= free_floor_bytes < math.inf:
            raise ConfigError(
                f"the floor of free space is {free_floor_bytes} bytes; allowed is "
                f"{LOWEST_FLOOR_BYTES:.0f} or more",
                fix=f"Leave it at {FREE_FLOOR_BYTES:.0f}.",
            )
        origin = SegmentOrigin(
            source=source,
            torque_source=torque_source,
            contact_source=contact_source,
            base_velocity_source=base_velocity_source,
            bundle_sha256=bundle_sha256,
            note=note,
            variant=variant,
        )
        self._close_s = close_s
        self._may_wait = may_wait
        self._now_s = now_s
        self._rows = TransitionRows(spec)
        self._feet = FootMotion(spec)
        # Rows with the gap before them; without a row, a gap that goes on.
        self._queue: queue.Queue[_Event | None] = queue.Queue(QUEUE_SIZE)
        # Ticks since the latest row that is in the queue or beyond.
        self._gap = RowGap()
        self._ticks = self._skipped_periods = self._queue_full = 0
        self._gap_ticks: Counter[str] = Counter()
        self._is_overflowing = False
        self._writer = LogWriter(
            folder,
            spec,
            origin,
            rows_per_segment=rows_per_segment,
            free_floor_bytes=free_floor_bytes,
            disk=disk or Disk(),
            now_s=now_s(),
        )
        # Held for a tick's few microseconds, so that `close` knows which tick was the last.
        self._tick_lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="transition-logger", daemon=True)
        self._thread.start()

    @property
    def status(self) -> LogStatus:
        """How the log is doing."""
        failing = [self._writer.failing] if self._writer.failing else []
        if self._is_overflowing:
            failing.append(f"{QUEUE_SIZE} rows wait for the disk")
        dropped = self._queue_full + sum(dict(self._writer.dropped).values())
        return LogStatus(
            self._ticks,
            self._writer.journalled,
            dropped,
            self._writer.failures,
            "; ".join(failing),
        )

    @property
    def is_failing(self) -> bool:
        """Whether the next row would get lost, as far as is known."""
        return self._is_overflowing or bool(self._writer.failing)

    def on_tick(self, tick: LoggedTick) -> None:
        """Take a tick; never waits for the disk. After `close` nothing is taken."""
        with self._tick_lock:
            if not self._closing.is_set():
                self._ticks += 1
                self._take(self._rows.take(tick))

    def close(self) -> LogSummary:
        """Write what is left, publish it, and say what became of everything.

        Where the disk hangs, rows that wait for it count as dropped, as `unwritten`.
        """
        with self._tick_lock:
            self._closing.set()
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        self._thread.join(None if self._may_wait else self._close_s)
        writer = self._writer
        unpublished = writer.unpublished
        dropped: dict[str, int] = {"queue_full": self._queue_full, **writer.dropped}
        if self._thread.is_alive():
            _logger.error("the disk hangs: what it did not take in %s s is lost", self._close_s)
            unpublished = writer.journalled - writer.published
            rows = self._ticks - sum(self._gap_ticks.values())
            dropped["unwritten"] = rows - writer.journalled - sum(dropped.values())
        return LogSummary(
            ticks=self._ticks,
            rows=writer.published,
            segments=tuple(writer.segments),
            unpublished=unpublished,
            dropped=sum(dropped.values()),
            dropped_by_cause={cause: count for cause, count in dropped.items() if count},
            gap_ticks=dict(self._gap_ticks),
            skipped_periods=self._skipped_periods,
            failures=writer.failures,
        )

    def _take(self, found: TransitionRow | MissingRow) -> None:
        if isinstance(found, MissingRow):
            is_new = found.cause not in self._gap.causes
            self._gap = self._gap.plus(found)
            self._gap_ticks[found.cause] += 1
            self._skipped_periods += found.skipped_periods
            if is_new or self._gap.ticks % _GAP_TICKS == 0:
                self._offer((None, self._gap))
        elif self._offer((found, self._gap)):
            self._gap = RowGap()
        else:
            self._gap = self._gap.plus(MissingRow("queue_full"))
            self._queue_full += 1

    def _offer(self, event: _Event) -> bool:
        try:
            if self._may_wait:
                self._queue.put(event)
            else:
                self._queue.put_nowait(event)
        except queue.Full:
            self._is_overflowing = True
            return False
        self._is_overflowing = False
        return True

    def _run(self) -> None:
        while True:
            # Read before the queue: what was put before closing is then surely in there.
            closing = self._closing.is_set()
            try:
                event = self._queue.get(timeout=0.0 if closing else _POLL_S)
                if event is not None:
                    row, gap = event
                    if row is not None:
                        self._feet.fill(row.values)
                    self._writer.take(row, gap)
            except queue.Empty:
                if closing:
                    break
            self._writer.look_after(self._now_s())
        self._writer.finish(self._gap)
