"""A server of processes that log as fast as they can, to be killed. Run as a script.

A job is a line of JSON: `folder`, and `kill_at` (0: never; k: die by SIGKILL in place of the k-th
system call of the log). The server answers with the process id of a child, then with `dead`.
For every row that was handed to the system, the child then puts a byte into the pipe whose number
is on the command line.
"""

import json
import os
import signal
import sys
from pathlib import Path

from failing_disk import CountedDisk
from made_ticks import HOLD, RUN, SPEC, tick

from rwmu_deploy.collection.transition_logger import TransitionLogger

ROWS_PER_SEGMENT = 40
HELD_EVERY = 25


class AcknowledgingDisk(CountedDisk):
    """Tells of each row after the system took it, and dies where it is told to."""

    def __init__(self, acknowledge: int, kill_at: int) -> None:
        super().__init__()
        self._acknowledge = acknowledge
        self._kill_at = kill_at

    def on_call(self, name: str) -> None:
        # After the k-th call is before the next one: nothing else happens in between.
        if self._kill_at and self.calls == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, descriptor: int, data: bytes) -> int:
        taken = super().write(descriptor, data)
        rows = data.count(b"\nR,") + data.startswith(b"R,")
        if taken == len(data) and rows:
            os.write(self._acknowledge, b"r" * rows)
        return taken


def log_forever(folder: Path, disk: AcknowledgingDisk) -> None:
    logger = TransitionLogger(
        folder,
        SPEC,
        source="real",
        disk=disk,
        may_wait=True,
        rows_per_segment=ROWS_PER_SEGMENT,
    )
    ticks = [tick(k, state=HOLD if k % HELD_EVERY == 0 else RUN) for k in range(1, 2000)]
    for each in ticks:
        logger.on_tick(each)
    logger.close()


def main() -> None:
    acknowledge = int(sys.argv[1])
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            log_forever(Path(job["folder"]), AcknowledgingDisk(acknowledge, job["kill_at"]))
            os._exit(0)
        print(child, flush=True)
        os.waitpid(child, 0)
        print("dead", flush=True)


if __name__ == "__main__":
    main()
