"""Write segments in a process of its own.

Formatting numbers as text holds the interpreter lock, so a thread would stop the recording that
it should run beside. The process is this module run as a program: it imports no torch. Jobs come
as pickles on its standard input, answers go out on its standard output.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.collection.transition_segment import EpisodeSpan, SegmentOrigin, write_segment
from rwmu_deploy.contract.errors import LogError
from rwmu_deploy.contract.robot_spec import RobotSpec


class SegmentProcess:
    """Writes one segment at a time, in order. Use as a context.

    Args:
        folder: Where segments go.
        spec: The robot.
    """

    def __init__(self, folder: Path, spec: RobotSpec) -> None:
        # A session of its own: Ctrl-C must not tear the segment that is being written.
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdin is not None, "it is a pipe"
        assert self._process.stdout is not None, "it is a pipe"
        self._jobs, self._answers = self._process.stdin, self._process.stdout
        self._paths: list[Path] = []
        self._is_busy = False
        self._send((folder, spec))

    def write(
        self, rows: NDArray[np.float32], spans: Sequence[EpisodeSpan], origin: SegmentOrigin
    ) -> None:
        """Hand a segment over; waits until the one before it is on the disk.

        Raises:
            LogError: That one could not be written.
        """
        self._await_latest()
        self._send((rows, list(spans), origin))
        self._is_busy = True

    def finish(self) -> list[Path]:
        """Wait for the last segment; the CSVs of all.

        Raises:
            LogError: It could not be written.
        """
        self._await_latest()
        return self._paths

    def __enter__(self) -> SegmentProcess:
        return self

    def __exit__(self, *_: object) -> None:
        """Let the process end what it has begun."""
        self._process.communicate()

    def _await_latest(self) -> None:
        if not self._is_busy:
            return
        self._is_busy = False
        try:
            answer = pickle.load(self._answers)
        except (EOFError, pickle.UnpicklingError):
            raise self._ended() from None
        if isinstance(answer, Path):
            self._paths.append(answer)
            return
        problem, fix = answer
        raise LogError(problem, fix=fix)

    def _send(self, job: Any) -> None:
        try:
            pickle.dump(job, self._jobs)
            self._jobs.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _ended(self) -> LogError:
        return LogError(
            f"the process that writes segments ended with code {self._process.wait()}",
            fix="Read what it said above, or in the system's log; then record again.",
        )


def _write_all(jobs: IO[bytes], answers: IO[bytes]) -> None:
    """Write what comes in until the recording closes the pipe or is gone."""
    try:
        folder, spec = pickle.load(jobs)
        while True:
            rows, spans, origin = pickle.load(jobs)
            try:
                answer: Any = write_segment(folder, spec, rows, spans, origin)
            except LogError as error:
                answer = (error.problem, error.fix)
            pickle.dump(answer, answers)
            answers.flush()
    except (EOFError, pickle.UnpicklingError, BrokenPipeError):
        return


if __name__ == "__main__":
    _write_all(sys.stdin.buffer, sys.stdout.buffer)
