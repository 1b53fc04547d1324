"""All transitions as flat arrays, with the bounds of their episodes.

N = rows of all files, E = episodes, C = columns, S = state size, A = action size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.transitions.transition_files import (
    EpisodeEnd,
    TransitionFile,
    find_transition_files,
    read_transition_file,
)

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
    """"sim", "real", or "unknown" without a sidecar."""


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
    def file_sha256(self) -> tuple[str, ...]:
        """Hashes of the CSV files, in reading order."""
        return tuple(file.sha256 for file in self.files)

    def member_rows(self) -> NDArray[np.int64]:
        """Indices of the rows that belong to this data set, ascending, shape (row_count,)."""
        return indices_of_ranges(self.episode_start, self.episode_length)

    def split(
        self, validation_share: float, seed: int
    ) -> tuple[TransitionDataset, TransitionDataset]:
        """Divide the episodes at random into a training and a validation part.

        Episodes of up to 1000 rows (20 s) stay whole. A longer one, such as an hour of walking
        without a fall, is first cut into equal stretches; neighbouring stretches that land on the
        same side are joined again. A single episode of up to 2000 rows is cut once instead, and
        its end validates. No row is on both sides, so no window is either.

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
        if len(self.episode_length) == 1 and self.row_count <= 2 * _LONGEST_STRETCH_ROWS:
            return self._cut_once(validation_share)
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

    def _cut_once(self, share: float) -> tuple[TransitionDataset, TransitionDataset]:
        """Divide a single episode before its last `share` of rows, a long one in the middle."""
        rows = self.row_count
        training_rows = rows - min(max(round(share * rows), 1), rows - 1)
        if rows > _LONGEST_STRETCH_ROWS:
            training_rows = rows // 2
        cut = self.episode_start + training_rows
        return (
            replace(self, episode_end=cut, episode_end_kind=("gap",)),
            replace(self, episode_start=cut),
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


def load_dataset(places: Path | Sequence[Path], spec: RobotSpec) -> TransitionDataset:
    """Read every transition file of one or more folders (or single CSV files).

    Raises:
        TransitionFileError: A place is missing or holds no data, or a file can't be trusted.
    """
    files: list[TransitionFile] = []
    notes: list[str] = []
    for place in [places] if isinstance(places, Path) else places:
        paths, place_notes = find_transition_files(place)
        notes += place_notes
        files += [read_transition_file(path, spec) for path in paths]
    if not files:
        raise ConfigError("no data folder was named", fix="Name one folder or more.")
    return dataset_of_files(files, spec, notes)


def dataset_of_files(
    files: Sequence[TransitionFile], spec: RobotSpec, notes: Sequence[str] = ()
) -> TransitionDataset:
    """Join files, in order; an episode never goes on in the next file."""
    counts = np.array([len(file.rows) for file in files], dtype=np.int64)
    first = np.cumsum(counts) - counts
    return TransitionDataset(
        spec=spec,
        columns=TransitionColumns.of(spec),
        rows=np.concatenate([file.rows for file in files]),
        velocity_command=np.concatenate([file.velocity_command for file in files]),
        episode_start=np.concatenate(
            [file.episode_start + row for file, row in zip(files, first, strict=True)]
        ),
        episode_end=np.concatenate(
            [file.episode_end + row for file, row in zip(files, first, strict=True)]
        ),
        episode_end_kind=tuple(kind for file in files for kind in file.episode_end_kind),
        files=tuple(
            FileRecord(
                path=file.path,
                sha256=file.sha256,
                first_row=int(row),
                row_count=len(file.rows),
                source=file.meta["source"] if file.meta else "unknown",
            )
            for file, row in zip(files, first, strict=True)
        ),
        notes=(*notes, *(note for file in files for note in file.notes)),
    )


def indices_of_ranges(start: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.int64]:
    """Every index of the ranges [start, start + length), in order, without a loop."""
    offset = np.repeat(start - (np.cumsum(length) - length), length)
    return offset + np.arange(int(length.sum()), dtype=np.int64)
