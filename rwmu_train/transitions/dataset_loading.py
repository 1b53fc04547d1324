"""Read transition files of folders into one data set."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError, TransitionFileError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.simulation.robot_variant import NOMINAL
from rwmu_train.transitions.dataset import FileRecord, TransitionDataset
from rwmu_train.transitions.transition_files import (
    EpisodeEnd,
    TransitionFile,
    find_transition_files,
    read_transition_file,
)

_OF_ONE_FILE = ("rows", "csv_sha256", "episodes_sha256", "created_utc")
"""Keys of a sidecar in which files of one origin differ."""


def load_dataset(
    places: Path | Sequence[Path],
    spec: RobotSpec,
    *,
    leave_out_refused: bool = False,
    trust_times: bool = True,
) -> TransitionDataset:
    """Read every transition file of one or more folders (or single CSV files).

    Args:
        places: The folders.
        spec: The robot.
        leave_out_refused: Go on without files that can't be read or trusted, as long as there is
            one that can; `refused` then names them.
        trust_times: As in `cached_csv_rows`.

    Raises:
        TransitionFileError: A place is missing or holds no data, or a file can't be trusted.
    """
    paths: list[Path] = []
    notes: list[str] = []
    for place in [places] if isinstance(places, Path) else places:
        found, place_notes = find_transition_files(place)
        paths += found
        notes += place_notes
    if not paths:
        raise ConfigError("no data folder was named", fix="Name one folder or more.")
    refused: list[TransitionFileError] = []

    def readable() -> Iterator[TransitionFile]:
        for path in paths:
            try:
                yield read_transition_file(path, spec, trust_times=trust_times)
            except TransitionFileError as error:  # noqa: PERF203
                if not leave_out_refused:
                    raise
                refused.append(error)
        if len(refused) == len(paths):
            raise refused[0]

    dataset = dataset_of_files(readable(), spec, notes)
    return replace(dataset, refused=tuple(str(error) for error in refused))


def dataset_of_files(
    files: Iterable[TransitionFile], spec: RobotSpec, notes: Sequence[str] = ()
) -> TransitionDataset:
    """Join files, in order; an episode never goes on in the next file.

    Memory: the rows, and one file at a time. A single file's rows are not copied.
    """
    rows, commands = _GrowingRows(), _GrowingRows()
    starts: list[NDArray[np.int64]] = []
    ends: list[NDArray[np.int64]] = []
    kinds: list[EpisodeEnd] = []
    records: list[FileRecord] = []
    all_notes = list(notes)
    for file in files:
        first = rows.count
        rows.append(file.rows)
        commands.append(file.velocity_command)
        starts.append(file.episode_start + first)
        ends.append(file.episode_end + first)
        kinds += file.episode_end_kind
        records.append(_record(file, first))
        all_notes += file.notes
    return TransitionDataset(
        spec=spec,
        columns=TransitionColumns.of(spec),
        rows=rows.array,
        velocity_command=commands.array,
        episode_start=np.concatenate(starts),
        episode_end=np.concatenate(ends),
        episode_end_kind=tuple(kinds),
        files=tuple(records),
        notes=tuple(all_notes),
    )


def _record(file: TransitionFile, first_row: int) -> FileRecord:
    count = len(file.rows)
    if file.meta is None:
        folder = str(file.path.parent)
        return FileRecord(file.path, file.sha256, first_row, count, "unknown", collector=folder)
    origin = {key: value for key, value in file.meta.items() if key not in _OF_ONE_FILE}
    text = json.dumps(origin, sort_keys=True)
    return FileRecord(
        path=file.path,
        sha256=file.sha256,
        first_row=first_row,
        row_count=count,
        source=_source(file.meta),
        origin=text,
        collector=_collector(file.meta, file.path),
        generation=_generation(file.meta, file.path),
        actuation_delay_s=file.actuation_delay_s,
    )


def _source(meta: Mapping[str, Any]) -> str:
    """Another robot is another source, in simulation too."""
    variant = (meta.get("variant") or {}).get("name", NOMINAL.name)
    return meta["source"] if variant == NOMINAL.name else f"{meta['source']}:{variant}"


def _collector(meta: Mapping[str, Any], path: Path) -> str:
    """A policy is the same in every robot that it walks, and in every recording."""
    if stated := meta.get("policy"):
        return str(stated)
    who = meta.get("bundle_sha256") or meta.get("note") or str(path.parent)
    return f"{_source(meta)}: {who}"


def _generation(meta: Mapping[str, Any], path: Path) -> float:
    stated = meta.get("generation")
    if stated is None:
        return math.inf
    if isinstance(stated, bool) or not (isinstance(stated, int) and stated >= 0):
        raise TransitionFileError(
            f"the sidecar of {path} has generation {stated!r}; allowed is 0 up, or null",
            fix="Write how many policies of its training run were before the one that acted.",
        )
    return float(stated)


class _GrowingRows:
    """Rows that grow without ever being in memory twice."""

    def __init__(self) -> None:
        self.array: NDArray[np.float32] = np.empty((0, 0), dtype=np.float32)
        self._is_own = False

    @property
    def count(self) -> int:
        return len(self.array)

    def append(self, rows: NDArray[np.float32]) -> None:
        """The first are only looked at; with the second a copy begins, which the system grows."""
        count = self.count
        if count == 0:
            self.array = rows
            return
        if not self._is_own:
            self.array = self.array.copy()
            self._is_own = True
        self.array.resize((count + len(rows), rows.shape[1]), refcheck=False)
        self.array[count:] = rows
