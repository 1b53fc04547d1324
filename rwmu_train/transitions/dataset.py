"""All transitions as flat arrays, with the bounds of their episodes.

N = rows of all files, E = episodes, C = columns, S = state size, A = action size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.transitions.transition_files import (
    EpisodeEnd,
)

_SHORTEST_EPISODE_ROWS = 100
"""An episode shorter than this validates nothing by itself: it has hardly a window."""
_LONGEST_STRETCH_ROWS = 1000
"""Longest part of an episode that `split` keeps whole: 20 s, an episode of the simulated robot."""


@dataclass(frozen=True)
class FileRecord:
    """Where a run of rows came from."""

    path: Path
    sha256: str
    first_row: int
    row_count: int
    source: str
    """"sim", "real", "sim:VARIANT" of a simulated robot that differs from its model, or "unknown"
    without a sidecar."""
    origin: str = ""
    """What its sidecar says about who wrote it and how; empty without a sidecar."""
    collector: str = ""
    """Who moved the robot: files of one bundle on one kind of robot have the same; without a
    bundle, those with the same note, or of the same folder."""
    generation: float = math.inf
    """Of that policy, counted along its training run. Without a number it counts as the newest: a
    robot is given what came out of a training."""
    actuation_delay_s: float = 0.0
    """Time by which the drives are known to act late."""


@dataclass(frozen=True)
class TransitionDataset:
    """Rows of one or more files, and those episodes of them that belong to this data set.

    A part made by `split` shares `rows` with the whole and lists only its own episodes, so that
    nothing is copied: reach its rows through `member_rows` or through windows.
    """

    spec: RobotSpec
    columns: TransitionColumns
    rows: NDArray[np.float32]
    """Shape (N, C)."""
    velocity_command: NDArray[np.float32]
    """vx [m/s], vy [m/s], wz [rad/s] in the base frame, shape (N, 3); NaN where not known."""
    episode_start: NDArray[np.int64]
    """First row of each episode, ascending, shape (E,)."""
    episode_end: NDArray[np.int64]
    """Row after the last one of each episode, shape (E,)."""
    episode_end_kind: tuple[EpisodeEnd, ...]
    """How each episode ended, length E."""
    files: tuple[FileRecord, ...]
    notes: tuple[str, ...]
    """What a reader of results trained on these data should know."""
    refused: tuple[str, ...] = ()
    """Files that were left out, each with the reason."""
    mix: Mapping[str, float] | None = None
    """Share of each source in what is drawn for training; None draws all windows alike."""

    @property
    def states(self) -> NDArray[np.float32]:
        """State of every row, shape (N, S), a view."""
        return self.rows[:, self.columns.state]

    @property
    def actions(self) -> NDArray[np.float32]:
        """The action that produced each row's state, shape (N, A), a view."""
        return self.rows[:, self.columns.action.slice]

    @property
    def extensions(self) -> NDArray[np.float32]:
        """Privileged real-valued columns of every row, a view."""
        return self.rows[:, self.columns.extension.slice]

    @property
    def contacts(self) -> NDArray[np.float32]:
        """Contacts of every row, shape (N, contacts), a view."""
        return self.rows[:, self.columns.contact.slice]

    @property
    def terminations(self) -> NDArray[np.float32]:
        """1 where the robot fell, shape (N, 1), a view."""
        return self.rows[:, self.columns.termination.slice]

    @property
    def episode_length(self) -> NDArray[np.int64]:
        """Rows of each episode, shape (E,)."""
        return self.episode_end - self.episode_start

    @property
    def row_count(self) -> int:
        """Rows that belong to this data set."""
        return int(self.episode_length.sum())

    @property
    def delay_rows(self) -> int:
        """Rows by which the drives are known to act late; 0 where files differ in it."""
        delays = {file.actuation_delay_s for file in self.files}
        return round(delays.pop() / self.spec.control_dt_s) if len(delays) == 1 else 0

    @property
    def file_sha256(self) -> tuple[str, ...]:
        """Hashes of the CSV files, in reading order."""
        return tuple(file.sha256 for file in self.files)

    def member_rows(self) -> NDArray[np.int64]:
        """Indices of the rows that belong to this data set, ascending, shape (row_count,)."""
        return indices_of_ranges(self.episode_start, self.episode_length)

    def rows_within(self, *, before: int, after: int) -> NDArray[np.int64]:
        """Rows with at least so many of their own episode before and after them, ascending."""
        length = np.maximum(self.episode_length - before - after, 0)
        return indices_of_ranges(self.episode_start + before, length)

    def file_of_rows(self, row: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of the file that each row is from, shape of `row`."""
        first_rows = np.array([file.first_row for file in self.files])
        return np.searchsorted(first_rows, row, side="right") - 1

    def of_files(self, first: int, end: int) -> TransitionDataset:
        """The consecutive files [first, end) alone; rows are shared, not copied."""
        files = self.files[first:end]
        begin = files[0].first_row
        rows = slice(begin, files[-1].first_row + files[-1].row_count)
        chosen = (self.episode_start >= rows.start) & (self.episode_start < rows.stop)
        kinds = zip(self.episode_end_kind, chosen.tolist(), strict=True)
        return replace(
            self,
            rows=self.rows[rows],
            velocity_command=self.velocity_command[rows],
            episode_start=self.episode_start[chosen] - begin,
            episode_end=self.episode_end[chosen] - begin,
            episode_end_kind=tuple(kind for kind, is_chosen in kinds if is_chosen),
            files=tuple(replace(file, first_row=file.first_row - begin) for file in files),
        )

    def split(
        self, validation_share: float, seed: int
    ) -> tuple[TransitionDataset, TransitionDataset]:
        """Divide the episodes at random into a training and a validation part.

        Episodes of up to 1000 rows (20 s) stay whole. A longer one, such as an hour of walking
        without a fall, is first cut into equal stretches; neighbouring stretches that land on the
        same side are joined again. Where only one episode has 100 rows or more, and at most 2000,
        its end validates instead. No row is on both sides, so no window is either.

        Args:
            validation_share: Share of the rows to validate on; above 0, below 1.
            seed: Same seed, same division.

        Returns:
            Training and validation part; neither is empty, and both share `rows` with this one.

        Raises:
            ConfigError: The share is out of range, or there are fewer than two rows.
        """
        if not 0.0 < validation_share < 1.0:
            raise ConfigError(
                f"validation_share is {validation_share}; allowed is above 0 and below 1",
                fix="Give a share such as 0.2.",
            )
        if self.row_count < 2:
            raise ConfigError(
                f"{self.row_count} rows can't be divided; allowed is 2 or more",
                fix="Record more data.",
            )
        length = self.episode_length
        worth = np.flatnonzero(length >= _SHORTEST_EPISODE_ROWS) if len(length) > 1 else [0]
        if len(worth) == 1 and length[worth[0]] <= 2 * _LONGEST_STRETCH_ROWS:
            return self._cut_once(int(worth[0]), validation_share)
        start, end, episode = self._stretches()
        order = np.random.default_rng(seed).permutation(len(start))
        taken_before = np.cumsum((end - start)[order]) - (end - start)[order]
        chosen = taken_before < validation_share * self.row_count
        chosen[-1] = False
        for_validation = np.zeros(len(start), dtype=bool)
        for_validation[order[chosen]] = True
        return (
            self._part(start, end, episode, ~for_validation),
            self._part(start, end, episode, for_validation),
        )

    def _cut_once(self, episode: int, share: float) -> tuple[TransitionDataset, TransitionDataset]:
        """Let the last `share` of one episode validate; all others train."""
        rows = int(self.episode_length[episode])
        end = self.episode_end.copy()
        end[episode] -= min(max(round(share * rows), 1), rows - 1)
        kinds = list(self.episode_end_kind)
        kinds[episode] = "gap"
        own = slice(episode, episode + 1)
        return (
            replace(self, episode_end=end, episode_end_kind=tuple(kinds)),
            replace(
                self,
                episode_start=end[own],
                episode_end=self.episode_end[own],
                episode_end_kind=self.episode_end_kind[own],
            ),
        )

    def _stretches(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Start, end and episode of the stretches that `split` keeps whole."""
        length = self.episode_length
        pieces = -(-length // _LONGEST_STRETCH_ROWS)
        episode = np.repeat(np.arange(len(length)), pieces)
        piece = np.arange(len(episode)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        start = self.episode_start[episode] + piece * length[episode] // pieces[episode]
        end = self.episode_start[episode] + (piece + 1) * length[episode] // pieces[episode]
        return start, end, episode

    def _part(
        self,
        start: NDArray[np.int64],
        end: NDArray[np.int64],
        episode: NDArray[np.int64],
        chosen: NDArray[np.bool_],
    ) -> TransitionDataset:
        start, end, episode = start[chosen], end[chosen], episode[chosen]
        joined = (start[1:] == end[:-1]) & (episode[1:] == episode[:-1])
        start = start[np.concatenate([[True], ~joined])]
        last = np.concatenate([~joined, [True]])
        end, episode = end[last], episode[last]
        kinds = tuple(
            self.episode_end_kind[e] if row == self.episode_end[e] else "gap"
            for e, row in zip(episode.tolist(), end.tolist(), strict=True)
        )
        return replace(self, episode_start=start, episode_end=end, episode_end_kind=kinds)


def indices_of_ranges(start: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.int64]:
    """Every index of the ranges [start, start + length), in order; no other array of this size."""
    start, length = start[length > 0], length[length > 0]
    indices = np.ones(int(length.sum()), dtype=np.int64)
    if len(start):
        indices[0] = start[0]
        indices[np.cumsum(length[:-1])] = start[1:] - (start[:-1] + length[:-1] - 1)
    return np.cumsum(indices, out=indices)
