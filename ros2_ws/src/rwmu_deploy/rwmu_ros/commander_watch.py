"""Look out for other nodes that publish joint commands, while a policy is in charge."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

PERIOD_S = 0.2
_log = logging.getLogger(__name__)


class CommanderWatch:
    """Asks five times a second, in a thread of its own that neither loop nor e-stop waits for.

    Args:
        other_commanders: Names who else publishes joint commands.
        stop: Called with the reason when there is somebody.
    """

    def __init__(
        self, other_commanders: Callable[[], list[str]], stop: Callable[[str], None]
    ) -> None:
        self._other_commanders = other_commanders
        self._stop = stop
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="commander-watch", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(PERIOD_S):
            try:
                strangers = self._other_commanders()
            except Exception as error:  # noqa: BLE001  whoever can't look must not go on
                _log.exception("nobody can say who else commands the robot")
                self._stop(f"second commander: unknown, {error}")
                return
            if strangers:
                self._stop(f"second commander: {', '.join(strangers)}")
                return
