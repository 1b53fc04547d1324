"""Turn signals into calls: a thread waits for them, so that no other code has to get its turn."""

from __future__ import annotations

import logging
import os
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
    that thread would delay them. So the signal's number goes through a pipe: the system may
    interrupt any thread to write it, also one of a library that was there before.

    Make it in the main thread, before anything that must not be left alone.

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
        self._numbers, into = os.pipe()
        os.set_blocking(into, False)
        signal.set_wakeup_fd(into, warn_on_full_buffer=False)
        for number in (*ENDING, ESTOP):
            signal.signal(number, _left_to_the_thread)
        threading.Thread(target=self._wait, name="stop-signals", daemon=True).start()

    def _wait(self) -> None:
        while True:
            for number in os.read(self._numbers, 1):
                if number in (*ENDING, ESTOP):
                    self._act(signal.Signals(number))

    def _act(self, number: signal.Signals) -> None:
        act = self.on_estop if number == ESTOP else self.on_end
        try:
            if act is not None:
                act(number.name)
        except Exception:  # noqa: BLE001  the next signal must still be heard
            _log.exception("%s could not be acted on", number.name)
        if number == ESTOP:
            return
        self.received = self.received or number.name
        if self.wake is not None:
            self.wake()


def _left_to_the_thread(number: int, frame: object) -> None:
    del number, frame
