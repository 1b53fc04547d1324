"""Power loss, modelled: of what was not synced, any 512-byte sectors are lost, or come first."""

from pathlib import Path

import numpy as np
from made_ticks import HOLD, ORIGIN, RUN, SPEC, QuickDisk, feed, indices_in, tick

from rwmu_deploy.collection.journal_recovery import recover
from rwmu_deploy.collection.log_writer import LogWriter
from rwmu_deploy.collection.row_gap import RowGap
from rwmu_deploy.collection.transition_row import TransitionRows

SECTOR = 512


class RememberingDisk(QuickDisk):
    """Knows the size of the one journal at its last sync."""

    def __init__(self) -> None:
        self.size = self.synced_size = 0

    def write(self, descriptor: int, data: bytes) -> int:
        count = super().write(descriptor, data)
        self.size += count
        return count

    def fdatasync(self, descriptor: int) -> None:
        self.synced_size = self.size


def after_power_loss(content: bytes, synced_size: int, rng: np.random.Generator) -> bytes:
    """What may stand there: the file is as long as it ever was since the sync, and each sector

    that was written to since then is new, or as it was at the sync (zeros where it was not yet).
    """
    length = int(rng.integers(synced_size, len(content) + 1))
    found = bytearray(content[:length])
    lost_share = rng.choice([0.1, 0.5, 0.9, 1.0])
    for start in range(synced_size // SECTOR * SECTOR, length, SECTOR):
        if rng.random() < lost_share:
            first = max(start, synced_size)
            found[first : start + SECTOR] = bytes(len(found[first : start + SECTOR]))
    return bytes(found)


def test_every_row_before_the_last_sync_is_recovered_and_none_is_invented(
    tmp_path: Path, count, trials
):
    rng, cases = np.random.default_rng(17), count(200, 2000)
    lossy = 0
    for case in range(cases):
        folder = tmp_path / str(case)
        disk = RememberingDisk()
        writer = LogWriter(
            folder, SPEC, ORIGIN, rows_per_segment=10_000, free_floor_bytes=1e8, disk=disk, now_s=0
        )
        ticks = [tick(k, state=HOLD if k % 11 == 10 else RUN) for k in range(40)]
        written = [k for k in range(1, 40) if k % 11 != 10]
        synced: list[int] = []
        size = int(rng.integers(1, 40))
        rows, gap = TransitionRows(SPEC), RowGap()
        for each in ticks[:size]:
            gap = feed(writer, [each], rows, gap)
            if rng.random() < 0.1:
                writer.look_after(float(each.tick_index + 1))
                assert disk.synced_size == disk.size
                synced = [k for k in written if k <= each.tick_index]
        written = [k for k in written if k < size]
        (journal,) = folder.glob("*.journal")
        crashed = tmp_path / f"{case}-after"
        crashed.mkdir()
        image = after_power_loss(journal.read_bytes(), disk.synced_size, rng)
        (crashed / journal.name).write_bytes(image)
        (one,) = recover(crashed)
        assert one.outcome in ("recovered", "no rows"), one.problem
        recovered = indices_in(crashed)
        assert recovered[: len(synced)] == synced, "a synced row got lost"
        assert set(recovered) <= set(written), "a row was invented"
        assert recovered == sorted(set(recovered))
        missing = written[: len(recovered) + one.lost_rows]
        assert one.lost_rows == len(set(missing)) - len(set(missing) & set(recovered))
        lossy += bool(one.losses or one.lost_rows)
        writer.finish(RowGap())
    assert lossy > cases // 4, "the model loses something"
    trials("T-17", cases)
