"""Disks that fail, are slow, or lose what was not synced."""

import errno
import threading
from pathlib import Path

from made_ticks import QuickDisk


class CountedDisk(QuickDisk):
    """Counts every call; `on_call` is told its number, from 1, before it is made."""

    def __init__(self) -> None:
        self.calls = 0

    def on_call(self, name: str) -> None:
        """May raise."""

    def _count(self, name: str) -> None:
        self.calls += 1
        self.on_call(name)

    def open_new(self, path: Path) -> int:
        self._count("open_new")
        return super().open_new(path)

    def write(self, descriptor: int, data: bytes) -> int:
        self._count("write")
        return super().write(descriptor, data)

    def fdatasync(self, descriptor: int) -> None:
        self._count("fdatasync")

    def fsync(self, descriptor: int) -> None:
        self._count("fsync")

    def close(self, descriptor: int) -> None:
        super().close(descriptor)
        self._count("close")

    def replace(self, source: Path, target: Path) -> None:
        self._count("replace")
        super().replace(source, target)

    def remove(self, path: Path) -> None:
        self._count("remove")
        super().remove(path)


class FailingDisk(CountedDisk):
    """Fails call number `failing`, and so many after it, in one of four ways.

    - `ENOSPC`: half of what is written gets through, then the disk is full.
    - `EIO`: nothing gets through.
    - `EINTR`: a write is interrupted.
    - `short`: a write takes a third.
    """

    def __init__(self, failing: int, way: str, length: int = 1) -> None:
        super().__init__()
        self._failing = range(failing, failing + length)
        self._way = way
        self.failed: list[str] = []

    def on_call(self, name: str) -> None:
        if self.calls not in self._failing or self._way in ("EINTR", "short"):
            return
        if not (name == "write" and self._way == "ENOSPC"):
            self.failed.append(name)
            raise OSError(getattr(errno, self._way), self._way)

    def write(self, descriptor: int, data: bytes) -> int:
        fails = self.calls + 1 in self._failing
        if fails and self._way == "EINTR":
            self.calls += 1
            self.failed.append("write")
            raise InterruptedError(errno.EINTR, "interrupted")
        if fails and self._way == "short":
            self.failed.append("write")
            return super().write(descriptor, data[: len(data) // 3 + 1])
        if fails and self._way == "ENOSPC":
            super().write(descriptor, data[: len(data) // 2])
            self.failed.append("write")
            raise OSError(errno.ENOSPC, "no space left")
        return super().write(descriptor, data)


class BlockedDisk(QuickDisk):
    """The first row waits for `go_on`; `is_blocked` tells that it does."""

    def __init__(self) -> None:
        self.is_blocked, self.go_on = threading.Event(), threading.Event()

    def write(self, descriptor: int, data: bytes) -> int:
        if not data.startswith(b"H,"):
            self.is_blocked.set()
            assert self.go_on.wait(60.0)
        return super().write(descriptor, data)


class SmallDisk(QuickDisk):
    """Has as much room as the test says."""

    def __init__(self, free_bytes: float) -> None:
        self.room = free_bytes

    def free_bytes(self, folder: Path) -> int:
        if self.room < 0:
            raise OSError(errno.EIO, "input/output error")
        return int(self.room)
