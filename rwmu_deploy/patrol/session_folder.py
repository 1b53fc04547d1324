"""The folder of one session of collecting: what was planned, what happened, and the logged rows.

    session.json         the plan, the robot and the bundle; a session goes on only with the same
    progress.json        how far it is, whole once a second: walking goes on from here
    path_K.csv           where the robot was, one line a look; K counts the starts of the program
    events_K.csv         everything that kept it from walking, and why
    data/                the transitions, as the logger writes them; their numbering goes on

A lock, which the system frees with the process, keeps a second session out.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import json
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rwmu_deploy.contract.errors import LogError
from rwmu_deploy.contract.whole_file import write_whole
from rwmu_deploy.patrol.collect_session import PATH_COLUMNS, SessionEvent, SessionLook

SESSION, PROGRESS, DATA = "session.json", "progress.json", "data"
EVENT_COLUMNS = ("t_s", "kind", "detail")
_LOCK = ".lock"
_LEG = re.compile(r"path_(\d+)\.csv")
_logger = logging.getLogger(__name__)


class SessionFolder:
    """A session's folder, in the hands of one process.

    Args:
        path: Created if missing.
        facts: Plan, robot and bundle.

    Raises:
        LogError: Another process has it, it is of another plan, or it can't be written to.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.path = path
        self.failures = 0
        """Lines of path and events that the disk refused."""
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / _LOCK, os.O_CREAT | os.O_RDWR, 0o644)
        except OSError as error:
            raise LogError(
                f"session folder {path} can't be written to: {error.strerror or error}",
                fix="Give another folder.",
            ) from error
        try:
            self._take(facts)
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def data(self) -> Path:
        """Where the transitions go."""
        return self.path / DATA

    def progress(self) -> Mapping[str, Any] | None:
        """How far an earlier start came; None: there was none."""
        return read_progress(self.path)

    def note_look(self, look: SessionLook) -> None:
        """Append a line to the path; a disk that refuses is counted, and costs the line."""
        self._append(self._path_file, look.path_line())

    def note_event(self, event: SessionEvent) -> None:
        """Append an event."""
        self._append(self._events_file, (f"{event.t_s:.2f}", event.kind, event.detail))

    def save_progress(self, progress: Mapping[str, Any]) -> None:
        """Write down how far the session is; a disk that refuses is counted."""
        try:
            write_whole(self.path / PROGRESS, (json.dumps(progress) + "\n").encode())
        except OSError as error:
            self._failed(error)

    def close(self) -> None:
        """Give the folder free."""
        with contextlib.suppress(OSError):
            self._path_file.close()
        with contextlib.suppress(OSError):
            self._events_file.close()
        os.close(self._lock)

    def _take(self, facts: Mapping[str, Any]) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LogError(
                f"session folder {self.path} belongs to a session that runs",
                fix="End that session, or give another folder.",
            ) from error
        before = _read_json(self.path / SESSION)
        if before is not None:
            _refuse_other(self.path, before, facts)
        try:
            if before is None:
                write_whole(self.path / SESSION, (json.dumps(facts, indent=1) + "\n").encode())
            legs = [int(match[1]) for match in map(_LEG.fullmatch, os.listdir(self.path)) if match]
            leg = max(legs, default=-1) + 1
            self._path_file = (self.path / f"path_{leg}.csv").open("x", newline="")
            self._events_file = (self.path / f"events_{leg}.csv").open("x", newline="")
        except OSError as error:
            raise LogError(
                f"session folder {self.path} can't be written to: {error.strerror or error}",
                fix="Make room, or give another folder.",
            ) from error
        self._append(self._path_file, PATH_COLUMNS)
        self._append(self._events_file, EVENT_COLUMNS)

    def _append(self, file: io.TextIOWrapper, values: tuple[Any, ...]) -> None:
        try:
            csv.writer(file, lineterminator="\n").writerow(values)
            file.flush()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        self.failures += 1
        if self.failures == 1:
            _logger.error("session folder %s: %s", self.path, error)


def read_progress(folder: Path) -> Mapping[str, Any] | None:
    """How far the session in a folder is; None: it never began.

    Raises:
        LogError: The file can't be read.
    """
    return _read_json(folder / PROGRESS)


def read_session(folder: Path) -> Mapping[str, Any]:
    """Plan, robot and bundle of the session in a folder.

    Raises:
        LogError: There is none.
    """
    facts = _read_json(folder / SESSION)
    if facts is None:
        raise LogError(
            f"{folder} holds no session: there is no {SESSION}",
            fix="Give the folder that rwmu-collect or collect.launch.py was told.",
        )
    return facts


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise LogError(
            f"{path} can't be read: {error}", fix="Restore it, or begin in another folder."
        ) from error
    if not isinstance(values, dict):
        raise LogError(f"{path} holds no names", fix="Restore it, or begin in another folder.")
    return values


def _refuse_other(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    before, now = _flat(before), _flat(json.loads(json.dumps(now)))
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            raise LogError(
                f"session folder {folder} is of another session: {name} was {before.get(name)} "
                f"and is now {now.get(name)}",
                fix="Go on with the same, or begin in another folder.",
            )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
