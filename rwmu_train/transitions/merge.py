"""Make one folder of transitions out of several.

Files are copied, not hard-linked: a link would change with its source, which a recorder or an
editor may still write to, and does not reach another disk. Copying costs little, because every
byte is hashed on the way: what stands in the new folder is what was verified.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rwmu_deploy.collection.segment_files import (
    SegmentPaths,
    locked_folder,
    next_segment_index,
    segment_indices,
)
from rwmu_deploy.contract.errors import LogError, TransitionFileError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.new_folder import new_folder, require_free, writing
from rwmu_train.transitions.sidecar import read_sidecar
from rwmu_train.transitions.transition_files import find_transition_files

_COPIED_BYTES = 1 << 22


@dataclass(frozen=True)
class CheckedFile:
    """A transition CSV that was read and agrees with its sidecar and with the robot."""

    path: Path
    sha256: str
    rows: int
    has_sidecar: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Duplicate:
    """A CSV that was left out, because another one holds the same bytes."""

    path: Path
    same_as: Path


@dataclass(frozen=True)
class Merge:
    """What a merge did."""

    files: tuple[tuple[CheckedFile, Path], ...]
    """Each file, and its CSV's new path."""
    duplicates: tuple[Duplicate, ...]


def merge(
    places: Sequence[Path],
    spec: RobotSpec,
    out: Path,
    *,
    append: bool = False,
    skip_duplicates: bool = False,
) -> Merge:
    """Copy every segment of `places` into `out`, numbered on, after all of them were verified.

    Bytes stay as they are, sidecars' included; a CSV without a sidecar gets none. With `append`
    the segments that `out` holds are verified like the others, and numbers go on after them.

    Raises:
        TransitionFileError: A place holds no data, a file can't be trusted or is another robot's,
            or a CSV is there twice and `skip_duplicates` is False; nothing was written.
        LogError: `out` holds something and `append` is False, or the disk refuses; `out` is as
            it was before.
    """
    if not append:
        require_free(out)
    holds_data = append and out.is_dir() and bool(segment_indices(out))
    there = check_files([out], spec) if holds_data else []
    kept, duplicates = without_duplicates(there, check_files(places, spec), skip=skip_duplicates)
    if append and out.is_dir():
        csvs = _append(kept, out, spec) if kept else []
    else:
        with new_folder(out) as folder:
            csvs = [out / csv.name for csv in _copy_files(kept, folder, spec)]
    return Merge(tuple(zip(kept, csvs, strict=True)), tuple(duplicates))


def check_files(places: Sequence[Path], spec: RobotSpec) -> list[CheckedFile]:
    """Read every file of `places`, one at a time.

    Raises:
        TransitionFileError: A place holds no data, or a file can't be trusted.
    """
    return [
        _check_file(path, spec) for place in places for path in find_transition_files(place)[0]
    ]


def without_duplicates(
    there: Sequence[CheckedFile], found: Sequence[CheckedFile], *, skip: bool
) -> tuple[list[CheckedFile], list[Duplicate]]:
    """Files of `found` whose CSV was not seen before, in `there` or in `found`, and the rest.

    Raises:
        TransitionFileError: There is a rest and `skip` is False, or skipping a file would lose
            the only sidecar.
    """
    seen = {file.sha256: file for file in there}
    kept: list[CheckedFile] = []
    duplicates: list[Duplicate] = []
    for file in found:
        first = seen.setdefault(file.sha256, file)
        if first is file:
            kept.append(file)
            continue
        said = f"{first.path} and {file.path} hold the same {file.rows} rows ({file.sha256[:16]})"
        if not skip:
            raise TransitionFileError(said, fix="Name one of them, or add --skip-duplicates.")
        if file.has_sidecar and not first.has_sidecar:
            raise TransitionFileError(
                f"{said}, and only the second has a sidecar", fix="Name its folder first."
            )
        duplicates.append(Duplicate(file.path, first.path))
    return kept, duplicates


def _check_file(path: Path, spec: RobotSpec) -> CheckedFile:
    dataset = load_dataset(path, spec, trust_times=False)
    return CheckedFile(
        path=path,
        sha256=dataset.files[0].sha256,
        rows=dataset.row_count,
        has_sidecar=SegmentPaths.beside(path).meta.exists(),
        notes=dataset.notes,
    )


def _append(files: Sequence[CheckedFile], out: Path, spec: RobotSpec) -> list[Path]:
    with writing(out), tempfile.TemporaryDirectory(prefix=".merge.", dir=out) as name:
        copies = _copy_files(files, Path(name), spec)
        with locked_folder(out) as descriptor:
            first = next_segment_index(out)
            csvs = [SegmentPaths.of(out, first + i).csv for i in range(len(copies))]
            moves = [
                move
                for copy, csv in zip(copies, csvs, strict=True)
                for move in zip(_segment_files(copy), _segment_files(csv), strict=True)
                if move[0].exists()
            ]
            _move_all(moves)
            os.fsync(descriptor)
    return csvs


def _move_all(moves: Sequence[tuple[Path, Path]]) -> None:
    """Move every file, or none; nothing is replaced."""
    for _, target in moves:
        if target.exists():
            raise LogError(
                f"{target} is there already", fix="Remove this sidecar, whose CSV is gone."
            )
    moved: list[Path] = []
    try:
        for source, target in moves:
            os.rename(source, target)
            moved.append(target)
    except BaseException:
        for target in reversed(moved):
            target.unlink()
        raise


def _copy_files(files: Sequence[CheckedFile], folder: Path, spec: RobotSpec) -> list[Path]:
    """Copy segments as number 0, 1, ... of a folder; returns their CSVs."""
    csvs = [SegmentPaths.of(folder, index).csv for index in range(len(files))]
    for file, csv in zip(files, csvs, strict=True):
        if file.has_sidecar:
            *sidecar, _ = zip(_segment_files(file.path), _segment_files(csv), strict=True)
            for source, target in sidecar:
                if source.exists():
                    _copy(source, target)
        if _copy(file.path, csv) != file.sha256:
            raise TransitionFileError(
                f"{file.path} changed while it was merged",
                fix="Merge when nobody writes to it.",
            )
        read_sidecar(csv, spec, csv_sha256=file.sha256, row_count=file.rows)
    return csvs


def _segment_files(csv: Path) -> tuple[Path, Path, Path, Path]:
    """Files that a segment may have, the CSV last: whoever sees it sees its whole sidecar too."""
    paths = SegmentPaths.beside(csv)
    return paths.ticks, paths.episodes, paths.meta, paths.csv


def _copy(source: Path, target: Path) -> str:
    """Copy durably; returns the sha256 of what was written."""
    digest = hashlib.sha256()
    with open(source, "rb") as reader, open(target, "xb") as writer:
        blocks: Iterable[bytes] = iter(lambda: reader.read(_COPIED_BYTES), b"")
        for block in blocks:
            writer.write(block)
            digest.update(block)
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest()
