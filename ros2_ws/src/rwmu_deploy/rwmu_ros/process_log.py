"""Say things without waiting: a thread of its own writes to the terminal and to /rosout.

A terminal, a pipe or a disk may hang. Python's own handlers hold a lock while they write, and
rclpy's hold the interpreter; then nobody who has something to say could go on, and the control
loop would be one of them.
"""

from __future__ import annotations

import contextlib
import logging
import queue
from logging.handlers import QueueHandler, QueueListener

from rclpy.impl.rcutils_logger import RcutilsLogger

LONGEST_QUEUE = 1000
"""Lines that wait for a terminal; what comes then is lost."""
WITHOUT_WAITING = ("--ros-args", "--disable-stdout-logs", "--disable-external-lib-logs")
"""Arguments of rclpy that leave its own logging /rosout alone, which never waits."""
_FLUSH_S = 0.5


class ProcessLog:
    """Takes over Python's logging for the whole process."""

    def __init__(self) -> None:
        self._queue: queue.Queue[logging.LogRecord] = queue.Queue(LONGEST_QUEUE)
        terminal = logging.StreamHandler()
        terminal.setFormatter(logging.Formatter("[%(levelname)s] [%(name)s]: %(message)s"))
        self._listener = QueueListener(self._queue, terminal)
        root = logging.getLogger()
        root.handlers = [_NeverWaits(self._queue)]
        root.setLevel(logging.INFO)
        self._listener.start()

    def also_to(self, handler: logging.Handler) -> None:
        """Hand every line to `handler` too, in the same thread."""
        self._listener.handlers = (*self._listener.handlers, handler)

    def close(self) -> None:
        """Write what is left, if that is possible in half a second."""
        thread = self._listener._thread
        if thread is None:
            return
        try:
            self._listener.enqueue_sentinel()
        except queue.Full:
            return
        thread.join(_FLUSH_S)


class _NeverWaits(QueueHandler):
    def enqueue(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(record)


class Rosout(logging.Handler):
    """Hands what Python logs to a node's logger."""

    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__(logging.INFO)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Say it on /rosout."""
        text = self.format(record)
        # rclpy wants each severity to come from a line of its own.
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        else:
            self._logger.info(text)
