"""Turn signals into calls: a thread waits for them, so that no other code has to get its turn."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The process damps at once, then ends."""
ESTOP = signal.SIGUSR1
"""The process damps at once and goes on damping."""
_log = logging.getLogger(__name__)


class StopSignals:
    """Calls `on_end` or `on_estop` from a thread of its own, as soon as a signal comes.

    Python's own handlers run in the main thread between two lines of its code; whatever blocks
    that thread would delay them. So the signals are blocked and waited for.

    Make it in the main thread before any other thread exists, since threads inherit what is
    blocked.

    Args:
        on_end: Called with the signal's name, for each signal that ends the process.
        on_estop: Called with the signal's name for SIGUSR1.
    """

    def __init__(
        self,
        on_end: Callable[[str], None] | None = None,
        on_estop: Callable[[str], None] | None = None,
    ) -> None:
        self.received: str | None = None
        """Name of the first signal that asks for the end; None before it."""
        self.on_end = on_end
        self.on_estop = on_estop
        self.wake: Callable[[], None] | None = None
        """Called once `received` is set, for a main thread that sleeps."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {*ENDING, ESTOP})
        threading.Thread(target=self._wait, name="stop-signals", daemon=True).start()

    def _wait(self) -> None:
        while True:
            number = signal.Signals(signal.sigwait({*ENDING, ESTOP}))
            act = self.on_estop if number == ESTOP else self.on_end
            try:
                if act is not None:
                    act(number.name)
            except Exception:  # noqa: BLE001  the next signal must still be heard
                _log.exception("%s could not be acted on", number.name)
            if number == ESTOP:
                continue
            self.received = self.received or number.name
            if self.wake is not None:
                self.wake()
