"""Look out for other nodes that publish joint commands, while a policy is in charge."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

PERIOD_S = 0.1
JOIN_TIMEOUT_S = 1.0
_log = logging.getLogger(__name__)


class Commanded(Protocol):
    """What others may command too; a `TopicLink` is one."""

    def has_other_commanders(self) -> bool:
        """Whether somebody else commands it."""
        ...

    def other_commanders(self) -> list[str]:
        """Who."""
        ...


class CommanderWatch:
    """Asks ten times a second, in a thread of its own that neither loop nor e-stop waits for.

    Args:
        link: Who knows.
        stop: Called with the reason when there is somebody.
    """

    def __init__(self, link: Commanded, stop: Callable[[str], None]) -> None:
        self._link = link
        self._stop = stop
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="commander-watch", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End the thread, or leave it behind where the middleware holds it up."""
        self._ended.set()
        self._thread.join(JOIN_TIMEOUT_S)

    def _run(self) -> None:
        while not self._ended.wait(PERIOD_S):
            try:
                if not self._link.has_other_commanders():
                    continue
                self._stop("second commander on the joint commands")
                names = ", ".join(self._link.other_commanders()) or "gone again"
                _log.error("second commander: %s", names)
            except Exception as error:  # noqa: BLE001  whoever can't look must not go on
                _log.exception("nobody can say who else commands the robot")
                self._stop(f"second commander: unknown, {error}")
            return
