"""Rows of robots that walk at the same time, kept until each robot's episode ends.

N = robots, L = longest episode, C = columns, T = rows of an episode.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class RecordedEpisode:
    """One robot's rows from its reset to its fall, its time-out or the end of the recording."""

    robot: int
    rows: FloatArray
    """Shape (T, C)."""
    command: FloatArray
    """The command that the policy saw at each row, shape (T, 3)."""
    fell: bool
    """Whether the last row is a fall."""


class EpisodeBuffer:
    """The latest L rows of every robot, from which episodes are taken when they end.

    It takes N x L x (C + 3) numbers, however long it is used.

    Args:
        robots: N.
        longest: L.
        columns: C.
        first_robot: Number of the first robot.
    """

    def __init__(self, robots: int, longest: int, columns: int, first_robot: int = 0) -> None:
        # Step by step, so that memory is touched only as far as a recording goes.
        self._rows = np.empty((longest, robots, columns), dtype=np.float32)
        self._command = np.empty((longest, robots, 3), dtype=np.float32)
        self._longest = longest
        self._steps = 0
        self._length = np.zeros(robots, dtype=np.intp)
        self._first_robot = first_robot

    def append(self, rows: FloatArray, command: FloatArray) -> None:
        """Add a row of every robot, (N, C), and the command behind it, (N, 3)."""
        place = self._steps % self._longest
        self._rows[place], self._command[place] = rows, command
        self._steps += 1
        self._length += 1
        assert self._length.max() <= self._longest, "a longer episode would lose its first rows"

    def end(self, robots: Iterable[int], fell: NDArray[np.bool_]) -> list[RecordedEpisode]:
        """Take out the episodes of some robots; those without a row are left out.

        Args:
            robots: Which, counted from 0.
            fell: Whether each robot fell, shape (N,).
        """
        episodes = []
        for robot in robots:
            length = int(self._length[robot])
            self._length[robot] = 0
            if length:
                steps = np.arange(self._steps - length, self._steps) % self._longest
                rows, command = self._rows[steps, robot], self._command[steps, robot]
                number = self._first_robot + robot
                episodes.append(RecordedEpisode(number, rows, command, bool(fell[robot])))
        return episodes

    def end_all(self) -> list[RecordedEpisode]:
        """Cut off what every robot has, without a fall."""
        robots = len(self._length)
        return self.end(range(robots), np.zeros(robots, dtype=np.bool_))
