"""Put this process before others, so that a busy machine does not delay the loop."""

from __future__ import annotations

import logging
import os
from pathlib import Path

HIGHEST = 90
"""Above it are threads of the kernel that must not wait for us."""
_log = logging.getLogger(__name__)


def raise_priority(priority: int) -> bool:
    """Give every thread of this process the real-time class SCHED_FIFO; later ones inherit it.

    All threads, because one that holds Python's interpreter lock while it waits for a processor
    holds up the loop too.

    Args:
        priority: 1 to `HIGHEST`; 0 leaves everything as it is.

    Returns:
        Whether it is as asked. The system may refuse; that is logged, and the process goes on.
    """
    if priority == 0:
        return True
    try:
        for task in Path("/proc/self/task").iterdir():
            os.sched_setscheduler(int(task.name), os.SCHED_FIFO, os.sched_param(priority))
    except OSError as error:
        _log.warning(
            "realtime_priority %d refused: %s. Allow it in /etc/security/limits.conf (rtprio).",
            priority,
            error,
        )
        return False
    return True
