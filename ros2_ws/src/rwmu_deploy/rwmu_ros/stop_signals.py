"""Turn the signals that end a process into a request, so that the robot is damped first."""

from __future__ import annotations

import signal
from types import FrameType


class StopSignals:
    """Notes SIGINT, SIGTERM and SIGHUP. Make it in the main thread."""

    def __init__(self) -> None:
        self.received: str | None = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.received is None:
            self.received = signal.Signals(number).name
