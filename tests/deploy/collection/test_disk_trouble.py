"""A disk that fails, is full or slow costs rows that are counted, and nothing else."""

import os
import resource
import shutil
from collections import Counter
from pathlib import Path

import pytest
from failing_disk import BlockedDisk, CountedDisk, FailingDisk, SmallDisk
from made_ticks import (
    HOLD,
    ORIGIN,
    SPEC,
    QuickDisk,
    feed,
    indices_in,
    is_complete,
    log_ticks,
    read_log,
    tick,
    wait_until,
)

from rwmu_deploy.collection.disk import Disk
from rwmu_deploy.collection.journal_recovery import recover
from rwmu_deploy.collection.log_writer import LogWriter
from rwmu_deploy.collection.row_gap import RowGap
from rwmu_deploy.collection.transition_logger import (
    FREE_FLOOR_BYTES,
    QUEUE_SIZE,
    TransitionLogger,
)
from rwmu_deploy.collection.transition_row import TransitionRows
from rwmu_deploy.contract.errors import ConfigError, LogError
from rwmu_deploy.runtime.clock import ManualClock

TICKS = [tick(k) for k in range(40)] + [tick(40, state=HOLD)] + [tick(k) for k in range(41, 81)]
ROWS = [*range(1, 40), *range(41, 81)]


def written(folder: Path, disk: Disk) -> LogWriter:
    """What a logger's thread does with the ticks, without the thread."""
    writer = LogWriter(
        folder, SPEC, ORIGIN, rows_per_segment=12, free_floor_bytes=1e8, disk=disk, now_s=0.0
    )
    writer.finish(feed(writer, TICKS, TransitionRows(SPEC), RowGap()))
    return writer


class TestNthCallFails:
    @pytest.mark.parametrize("way", ["ENOSPC", "EIO", "EINTR", "short"])
    def test_costs_at_most_that_row_and_is_seen_once(self, tmp_path, way, trials, caplog):
        whole = CountedDisk()
        written(tmp_path / "whole", whole)
        assert whole.calls >= 200, "every one of the 200 calls is there to fail"
        opened = 0
        hit: Counter[str] = Counter()
        for failing in range(1, 201):
            folder, disk = tmp_path / str(failing), FailingDisk(failing, way)
            caplog.clear()
            try:
                writer = written(folder, disk)
            except LogError:
                assert list(folder.glob("*")) == [], "a log that can't be opened leaves nothing"
                continue
            opened += 1
            hit.update(disk.failed)
            harmless = way in ("EINTR", "short") or not disk.failed
            lost = sum(writer.dropped.values())
            assert writer.failures <= (0 if harmless else 1)
            assert lost <= writer.failures
            assert len(caplog.records) <= 2 * writer.failures, "said once, and that it goes on"
            assert writer.published + writer.unpublished + lost == len(ROWS)
            before = {path: path.read_bytes() for path in folder.glob("state_action_data_*.csv")}
            found = recover(folder)
            assert {one.outcome for one in found} <= {"recovered", "published before"}
            assert all(path.read_bytes() == content for path, content in before.items())
            indices = indices_in(folder)
            assert len(indices) == writer.published + writer.unpublished
            assert set(indices) <= set(ROWS), "no row was invented"
            assert sorted(indices) == sorted(set(indices)), "none is there twice"
        assert opened >= 196
        assert hit["write"] > (60 if way != "EIO" else 1)
        trials("T-18", 200)

    @pytest.mark.parametrize("way", ["ENOSPC", "EIO", "short"])
    def test_torn_line_costs_nothing_after_it_if_the_process_then_dies(
        self, tmp_path, way, trials
    ):
        for failing in range(5, 85, 2):
            folder, crashed = tmp_path / str(failing), tmp_path / f"{failing}-crashed"
            disk = FailingDisk(failing, way)
            writer = LogWriter(
                folder, SPEC, ORIGIN, rows_per_segment=99, free_floor_bytes=1e8, disk=disk, now_s=0
            )
            feed(writer, TICKS, TransitionRows(SPEC), RowGap())
            shutil.copytree(folder, crashed)
            writer.finish(RowGap())
            assert disk.failed == ["write"]
            (one,) = recover(crashed)
            assert one.rows == writer.journalled == len(indices_in(crashed))
            assert len(ROWS) - one.rows == writer.dropped["disk_refused"] <= 1
            assert one.lost_rows == 0
            assert one.gap_ticks == len(TICKS) - one.rows, "the account of the gap is whole too"
        trials("T-18", 40)

    @pytest.mark.parametrize("failing", range(5, 200, 13))
    def test_the_logger_takes_every_tick_and_accounts_for_it(self, tmp_path, failing, trials):
        disk = FailingDisk(failing, "ENOSPC")
        summary = log_ticks(tmp_path, TICKS, disk=disk, rows_per_segment=12)
        assert disk.failed
        assert summary.ticks == len(TICKS)
        assert is_complete(summary)
        recover(tmp_path)
        assert len(indices_in(tmp_path)) == summary.rows + summary.unpublished
        trials("T-18", 1)

    @pytest.mark.parametrize("way", ["ENOSPC", "EIO"])
    @pytest.mark.parametrize("failing", [6, 20, 60])
    def test_rows_come_again_when_the_disk_does(self, tmp_path, way, failing, trials):
        disk = FailingDisk(failing, way, length=20)
        summary = log_ticks(tmp_path, TICKS, disk=disk, rows_per_segment=1000)
        assert is_complete(summary)
        assert summary.dropped_by_cause == {"disk_refused": 20}
        assert summary.rows == len(ROWS) - 20
        (segment,) = read_log(tmp_path)
        told = [
            gap
            for gap in segment.meta["gaps"]
            for c in gap["causes"]
            if c["cause"] == "disk_refused"
        ]
        assert sum(gap["ticks"] for gap in told) >= 20
        trials("T-18", 1)


def test_dev_full_refuses_every_row_and_harms_nobody(tmp_path, trials):
    class FullDevice(QuickDisk):
        def write(self, descriptor, data):
            if data.startswith(b"H,"):
                return super().write(descriptor, data)
            full = os.open("/dev/full", os.O_WRONLY)
            try:
                return os.write(full, data)
            finally:
                os.close(full)

    summary = log_ticks(tmp_path, TICKS, disk=FullDevice())
    assert is_complete(summary)
    assert (summary.rows, summary.dropped) == (0, len(ROWS))
    assert list(tmp_path.iterdir()) == [], "a journal without a row is not left"
    trials("T-18", 1)


@pytest.mark.parametrize("limit", [20_000, 33_333, 45_001])
def test_quota_cuts_a_row_short_and_the_rest_is_kept(tmp_path, limit, trials):
    logger = TransitionLogger(tmp_path, SPEC, source="real", disk=QuickDisk(), may_wait=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        for each in TICKS:
            logger.on_tick(each)
        wait_until(lambda: logger.status.rows + logger.status.dropped == len(ROWS))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert logger.is_failing
    kept = logger.status.rows
    assert 0 < kept < len(ROWS)
    for k in range(81, 91):
        logger.on_tick(tick(k))
    summary = logger.close()
    assert not logger.is_failing, "space returned"
    assert is_complete(summary)
    assert summary.rows == kept + 10
    assert indices_in(tmp_path) == [*ROWS[:kept], *range(81, 91)]
    trials("T-18", 1)


class TestFreeSpace:
    @pytest.mark.parametrize("room", [0, 0.99e9, -1])
    def test_log_on_a_disk_below_the_floor_is_refused(self, tmp_path, room):
        with pytest.raises(LogError, match=r"free|can't be told"):
            TransitionLogger(tmp_path, SPEC, source="real", disk=SmallDisk(room))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("floor", [0, -1.0, 1e6, float("nan"), float("inf")])
    def test_floor_cannot_be_switched_off(self, tmp_path, floor):
        with pytest.raises(ConfigError, match="floor of free space"):
            TransitionLogger(tmp_path, SPEC, source="real", free_floor_bytes=floor)

    def test_logging_stops_below_the_floor_and_goes_on_above(self, tmp_path, caplog, trials):
        disk, clock = SmallDisk(2e9), ManualClock()
        logger = TransitionLogger(
            tmp_path, SPEC, source="real", disk=disk, now_s=clock.now_s, may_wait=True
        )

        def log(indices):
            for k in indices:
                logger.on_tick(tick(k))
            wait_until(lambda: logger.status.rows + logger.status.dropped == indices[-1])
            clock.advance(1.0)
            size = logger.status.failing
            wait_until(lambda: logger.status.failing != size or bool(size) == (disk.room < 1e9))

        log(range(10))
        disk.room = FREE_FLOOR_BYTES - 1
        log(range(10, 11))
        assert "GB are free" in logger.status.failing
        assert logger.is_failing
        (journal,) = tmp_path.glob("*.journal")
        size = journal.stat().st_size
        log(range(11, 111))
        assert journal.stat().st_size == size, "nothing is written below the floor"
        disk.room = FREE_FLOOR_BYTES
        log(range(111, 112))
        assert not logger.is_failing
        log(range(112, 121))
        summary = logger.close()
        assert is_complete(summary)
        assert summary.dropped_by_cause == {"disk_low": 101}
        assert summary.failures == 1
        said = [record.message for record in caplog.records]
        assert len(said) == 2, said
        (segment,) = read_log(tmp_path)
        assert segment.indices == [*range(1, 11), *range(112, 121)]
        trials("T-18", 1)

    def test_log_that_ends_below_the_floor_stays_in_its_journal(self, tmp_path):
        disk = SmallDisk(2e9)
        logger = TransitionLogger(tmp_path, SPEC, source="real", disk=disk, may_wait=True)
        for k in range(11):
            logger.on_tick(tick(k))
        wait_until(lambda: logger.status.rows == 10)
        disk.room = 0.5e9
        summary = logger.close()
        assert is_complete(summary)
        assert (summary.rows, summary.unpublished) == (0, 10)
        assert [one.outcome for one in recover(tmp_path)] == ["recovered"]
        assert indices_in(tmp_path) == [*range(1, 11)]


@pytest.mark.parametrize("blocked_s", [0.1, 1.0, 5.0, 10.0, 10.04, 30.0])
def test_slow_disk_costs_nothing_for_ten_seconds_then_what_the_gaps_say(
    tmp_path, blocked_s, trials
):
    disk = BlockedDisk()
    logger = TransitionLogger(tmp_path, SPEC, source="real", disk=disk)
    logger.on_tick(tick(0))
    logger.on_tick(tick(1))
    assert disk.is_blocked.wait(60.0)
    waiting = round(blocked_s * 50)
    wait_until(lambda: logger._queue.qsize() <= 1)
    for k in range(2, 2 + waiting):
        logger.on_tick(tick(k))  # Returns, though the disk does not.
    # The first tick's gap is with the disk, its row in the queue.
    free = QUEUE_SIZE - 1
    assert logger.status.dropped == max(0, waiting - free)
    assert logger.is_failing == (waiting > free)
    disk.go_on.set()
    wait_until(lambda: logger._queue.qsize() == 0)
    for k in range(2 + waiting, 12 + waiting):
        logger.on_tick(tick(k))
    assert not logger.is_failing
    summary = logger.close()
    assert is_complete(summary)
    assert summary.dropped == max(0, waiting - free)
    (segment,) = read_log(tmp_path)
    told = [cause for gap in segment.meta["gaps"] for cause in gap["causes"]]
    drops = [cause["ticks"] for cause in told if cause["cause"] == "queue_full"]
    assert sum(drops) == summary.dropped
    if blocked_s <= 10.0:
        assert summary.dropped <= 1
    trials("T-19", 1)


def test_log_on_a_disk_that_hangs_ends_nevertheless_and_says_what_it_never_took(tmp_path, trials):
    disk = BlockedDisk()
    logger = TransitionLogger(tmp_path, SPEC, source="real", disk=disk, close_s=0.05)
    for k in range(21):
        logger.on_tick(tick(k))
    assert disk.is_blocked.wait(60.0)
    summary = logger.close()
    assert is_complete(summary)
    assert summary.dropped_by_cause == {"unwritten": 20}
    disk.go_on.set()
    logger._thread.join(60.0)
    trials("T-19", 1)
