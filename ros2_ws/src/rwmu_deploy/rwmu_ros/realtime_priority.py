"""Put this process before others, so that a busy machine does not delay the loop."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

HIGHEST = 90
"""Above it are threads of the kernel that must not wait for us."""
_MIDDLEWARE = "dds."
"""How Fast DDS begins the names of its threads."""
_log = logging.getLogger(__name__)


def raise_priority(priority: int) -> bool:
    """Give every Python thread of this process the class SCHED_FIFO; later ones inherit it.

    All of them, because one that holds Python's interpreter lock while it waits for a processor
    holds up the loop too. The middleware's threads hold no such lock, and Fast DDS's sender spins
    while a listener's queue is full: in a real-time class, two of them have been seen to keep two
    processors for minutes from the very listeners they waited for. They get the highest ordinary
    priority (nice -20), which takes turns.

    Args:
        priority: 1 to `HIGHEST`; 0 leaves everything as it is.

    Returns:
        Whether it is as asked. The system may refuse; that is logged, and the process goes on.
    """
    if priority == 0:
        return True
    try:
        for task in Path("/proc/self/task").iterdir():
            _raise_thread(int(task.name), (task / "comm").read_text(), priority)
    except OSError as error:
        _log.warning(
            "realtime_priority %d refused: %s. Allow it in /etc/security/limits.conf (rtprio).",
            priority,
            error,
        )
        return False
    return True


def lower_priority() -> None:
    """Let every thread of this process take turns with all others again.

    For its end: taking a process apart takes half a second of a processor, for which a real-time
    class would keep everybody else from it, such as the node that goes on.
    """
    for task in Path("/proc/self/task").iterdir():
        # A thread may end meanwhile, and one that the system refuses is no worse than before.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(int(task.name), os.SCHED_OTHER, os.sched_param(0))
            os.setpriority(os.PRIO_PROCESS, int(task.name), 0)


def _raise_thread(thread_id: int, name: str, priority: int) -> None:
    if name.startswith(_MIDDLEWARE):
        os.sched_setscheduler(thread_id, os.SCHED_OTHER, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, thread_id, -20)
    else:
        os.sched_setscheduler(thread_id, os.SCHED_FIFO, os.sched_param(priority))
