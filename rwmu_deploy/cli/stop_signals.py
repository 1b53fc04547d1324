"""SIGINT, SIGTERM and SIGHUP, so that a command ends as it should."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


class StopSignals:
    """SIGINT, SIGTERM and SIGHUP as a flag, so that a run always ends through damping."""

    def __init__(self) -> None:
        self.number: int | None = None

    def _receive(self, number: int, _frame: object) -> None:
        self.number = number

    @contextlib.contextmanager
    def caught(self) -> Iterator[StopSignals]:
        """Take the signals over while the context lasts."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        previous = {number: signal.signal(number, self._receive) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
