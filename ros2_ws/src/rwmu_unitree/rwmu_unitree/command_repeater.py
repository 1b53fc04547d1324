"""Says the newest command again, 500 times a second; damps where nobody gives a new one.

The robot's motors follow each message until the next. So that one that is lost costs 2 ms, what is
held is said again and again; and a control loop that fell silent must not leave its last target in
force, which a robot that only hears messages can't tell from a loop that means it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from rwmu_deploy.runtime.ticker import Ticker

RATE_HZ = 500.0
FAREWELL = 50
"""Damping messages at an end, 0.1 s of them."""
_JOIN_TIMEOUT_S = 1.0
_log = logging.getLogger(__name__)


class CommandRepeater:
    """Silent until the first command, and again after `rest`.

    `say` may be called from any thread; it publishes at once, and no older command can follow.

    Args:
        publish: Sends a message; it must not block.
        silent_after_s: So long after a command nobody means it any more: damping.
    """

    def __init__(self, publish: Callable[[bytes], None], silent_after_s: float) -> None:
        self._publish = publish
        self._silent_after_s = silent_after_s
        self._lock = threading.RLock()
        self._held: bytes | None = None
        self._damping = b""
        self._said_s = 0.0
        self.sent = 0
        """Messages so far."""
        self.silences = 0
        """How often nobody gave a new command in time."""
        self._is_silent = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="command-repeater", daemon=True)
        self._thread.start()

    def say(self, message: bytes, damping: bytes) -> None:
        """Publish a command now, and from now on.

        Args:
            message: The command.
            damping: What is said in its place where nobody follows it up.
        """
        with self._lock:
            self._held, self._damping = message, damping
            self._said_s = time.monotonic()
            self._is_silent = False
            self._send(message)

    def rest(self) -> None:
        """Damp for 0.1 s, then fall silent; nothing where nothing was said."""
        for _ in range(FAREWELL):
            with self._lock:
                if self._held is None:
                    return
                self._held = self._damping
                self._send(self._damping)
            time.sleep(1.0 / RATE_HZ)
        with self._lock:
            self._held = None

    def close(self) -> None:
        """Rest, and end the thread."""
        self.rest()
        self._ended.set()
        self._thread.join(_JOIN_TIMEOUT_S)

    def _run(self) -> None:
        ticker = Ticker(1.0 / RATE_HZ, time.monotonic())
        while not self._ended.wait(max(0.0, ticker.deadline_s - time.monotonic())):
            try:
                self._again(time.monotonic())
            except Exception:  # noqa: BLE001  whatever it is, the thread must not go on
                # The loop's own send meets the same fault, and stops the robot for it.
                _log.exception("a command can't be said again")
                return
            ticker.advance(time.monotonic())

    def _again(self, now_s: float) -> None:
        with self._lock:
            if self._held is None:
                return
            if not now_s - self._said_s <= self._silent_after_s and not self._is_silent:
                self._is_silent = True
                self.silences += 1
                self._held = self._damping
            self._send(self._held)

    def _send(self, message: bytes) -> None:
        self._publish(message)
        self.sent += 1
