"""The system calls of the log in one place, so that each can fail, block or be counted."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path


class Disk:
    """The machine's disk. Every call raises OSError where the system refuses."""

    def open_new(self, path: Path) -> int:
        """Create a file to append to; returns its descriptor."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        return os.open(path, flags, 0o644)

    def write(self, descriptor: int, data: bytes) -> int:
        """Hand bytes to the system; returns how many it took."""
        return os.write(descriptor, data)

    def fdatasync(self, descriptor: int) -> None:
        """Put a file's bytes on the disk."""
        os.fdatasync(descriptor)

    def fsync(self, descriptor: int) -> None:
        """Put a file, or the names in a folder, on the disk."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Give a descriptor back."""
        os.close(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        """Rename; what had the name before is gone."""
        os.replace(source, target)

    def remove(self, path: Path) -> None:
        """Delete a file, if it is there."""
        path.unlink(missing_ok=True)

    def free_bytes(self, folder: Path) -> int:
        """Space that this user may still fill."""
        return shutil.disk_usage(folder).free


def write_all(disk: Disk, descriptor: int, data: bytes) -> None:
    """Write all bytes, however few the system takes at a time.

    Raises:
        OSError: The disk refuses; a part may stand there.
    """
    while data:
        try:
            count = disk.write(descriptor, data)
        except InterruptedError:
            continue
        if count <= 0:
            raise OSError(errno.EIO, "the system took no byte")
        # A short write (disk or quota about to be full) isn't an error to the system.
        data = data[count:]
