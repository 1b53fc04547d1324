"""Writes a session down in a thread of its own: no disk may hold up who looks at the robot."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

from rwmu_deploy.patrol.collect_session import SessionEvent, SessionLook
from rwmu_deploy.patrol.session_folder import SessionFolder

QUEUE_SIZE = 3000
"""Five minutes of looks; beyond it lines are dropped and counted."""
CLOSE_S = 5.0


class SessionWriter:
    """Hands looks, events and progress to a folder, in the order in which they came.

    Args:
        folder: In the hands of this process; closed with the writer.
    """

    def __init__(self, folder: SessionFolder) -> None:
        self.folder = folder
        self.dropped = 0
        """Lines for which there was no room."""
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(QUEUE_SIZE)
        self._thread = threading.Thread(target=self._run, name="session-writer", daemon=True)
        self._thread.start()

    def note_look(self, look: SessionLook) -> None:
        """Write a look down; returns at once."""
        self._offer(lambda: self.folder.note_look(look))

    def note_event(self, event: SessionEvent) -> None:
        """Write an event down; returns at once."""
        self._offer(lambda: self.folder.note_event(event))

    def save_progress(self, progress: Mapping[str, Any]) -> None:
        """Write down how far the session is; returns at once."""
        self._offer(lambda: self.folder.save_progress(progress))

    def close(self) -> None:
        """Write what waits, and give the folder free."""
        self._queue.put(None)
        self._thread.join(CLOSE_S)
        self.folder.close()

    def _offer(self, write: Callable[[], None]) -> None:
        try:
            self._queue.put_nowait(write)
        except queue.Full:
            self.dropped += 1

    def _run(self) -> None:
        while (write := self._queue.get()) is not None:
            write()
