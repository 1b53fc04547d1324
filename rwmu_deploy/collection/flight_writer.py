"""Put flights on a disk, beside the control loop: it never waits, whatever the disk does."""

from __future__ import annotations

import logging
import os
import queue
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from rwmu_deploy.collection.flight_file import flight_to_bytes
from rwmu_deploy.contract.errors import LogError
from rwmu_deploy.contract.whole_file import sync_folder
from rwmu_deploy.runtime.flight_record import Flight, FlightFacts
from rwmu_deploy.runtime.flight_recorder import AFTER_S, FlightRecorder

MOST_FILES = 100
"""In a folder."""
MOST_FOLDER_BYTES = 512 * 2**20
"""Of all flights in a folder."""
CLOSE_S = 5.0
"""Longest time that the end of a run waits for the disk."""
_WAITING = 4
_POLL_S = 0.2
_PAUSE_S = 0.001
_OVERDUE_S = AFTER_S + 1.0
"""A flight that its loop did not complete in this time is of a loop that hangs."""
_NAME = re.compile(r"flight-\d{8}T\d{6}Z-(\d+)\.npz(\.tmp)?")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FlightSummary:
    """What became of the flights."""

    files: tuple[Path, ...]
    lost: int
    """Flights that are in no file: the disk refused, the folder was full, or too many waited."""
    failures: int
    """Times that the recorder itself failed, and began anew."""


class FlightWriter:
    """Writes the flights of its `recorder` to a folder, from `start` to `close`.

    A file appears whole under its name, `flight-<UTC>-<n>.npz`. None is ever written over or
    deleted: the first faults are the ones that explain the later ones. So a folder with
    `MOST_FILES` of them, or `MOST_FOLDER_BYTES`, takes no more, and says so: to who wants to
    begin, and, if it comes to that during a run, in the log and in the summary.

    Args:
        folder: Where files go; created if missing.
        facts: What never changes while the loop runs.
    """

    def __init__(self, folder: Path, facts: FlightFacts) -> None:
        self._folder = folder
        self.recorder = FlightRecorder(facts, self._put)
        """What the control loop's `witness` is to be."""
        self._queue: queue.Queue[Flight] = queue.Queue(_WAITING)
        self._files: list[Path] = []
        self._lost = 0
        self._triggered_s: float | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flight-writer", daemon=True)

    @property
    def files(self) -> tuple[Path, ...]:
        """Written so far."""
        return tuple(self._files)

    @property
    def lost(self) -> int:
        """Flights that are in no file, so far."""
        return self._lost

    def start(self) -> None:
        """Start writing.

        Raises:
            LogError: The folder can't be written to, or is full.
        """
        self._prepare()
        self._thread.start()

    def close(self) -> FlightSummary:
        """Write what is left, complete or not, and say what became of all.

        A disk that hangs is given up after `CLOSE_S`; what it still has counts as lost.
        """
        self._closing.set()
        lost = 0
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
            lost = self._queue.qsize() + 1 if self._thread.is_alive() else 0
        return FlightSummary(tuple(self._files), self._lost + lost, self.recorder.failures)

    def _put(self, flight: Flight) -> None:
        try:
            self._queue.put_nowait(flight)
        except queue.Full:
            self._lose(flight, "too many wait for the disk")

    def _run(self) -> None:
        while True:
            closing = self._closing.is_set()
            try:
                flight = self._queue.get(timeout=0.0 if closing else _POLL_S)
            except queue.Empty:
                flight = self.recorder.cut() if closing or self._is_overdue() else None
                if flight is None and closing:
                    return
            if flight is not None:
                self._write(flight)

    def _is_overdue(self) -> bool:
        if not self.recorder.is_triggered:
            self._triggered_s = None
            return False
        now_s = time.monotonic()
        if self._triggered_s is None:
            self._triggered_s = now_s
        return now_s - self._triggered_s > _OVERDUE_S

    def _write(self, flight: Flight) -> None:
        try:
            # Python runs one thread at a time: without pauses ticks would come late meanwhile.
            content = flight_to_bytes(flight, lambda: time.sleep(_PAUSE_S))
            full = self._full(len(content))
            if full:
                self._lose(flight, full)
                return
            path = _publish(self._folder, content)
        except Exception:
            self._lost += 1
            _logger.exception("a flight is lost (%s)", flight.triggers[0].why)
            return
        self._files.append(path)
        _logger.warning("flight recorded: %s (%s)", path, flight.triggers[0].why)

    def _lose(self, flight: Flight, why: str) -> None:
        self._lost += 1
        _logger.error("a flight is lost (%s): %s", flight.triggers[0].why, why)

    def _prepare(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            probe = self._folder / f".flight-probe-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
            full = self._full(0)
        except OSError as error:
            raise LogError(
                f"flight recordings can't be written to {self._folder}: {error.strerror}",
                fix="Give a folder that can be written to.",
            ) from None
        if full:
            raise LogError(
                f"{self._folder} {full}", fix="Move them elsewhere, or give another folder."
            )

    def _full(self, more_bytes: int) -> str:
        """Why a folder takes no more; empty where it does."""
        sizes = [entry.stat().st_size for entry in _flights(self._folder)]
        if len(sizes) >= MOST_FILES:
            return f"has {len(sizes)} flight recordings, allowed are {MOST_FILES}"
        if not sum(sizes) + more_bytes <= MOST_FOLDER_BYTES:
            return f"has {sum(sizes)} bytes of flight recordings, allowed are {MOST_FOLDER_BYTES}"
        return ""


def _flights(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]


def _publish(folder: Path, content: bytes) -> Path:
    """Write a file under a name of its own, on the disk when this returns.

    Raises:
        OSError: The disk refuses; there is nothing under the name then.
    """
    taken = [int(name[1]) for path in _flights(folder) if (name := _NAME.fullmatch(path.name))]
    number = max(taken, default=-1) + 1
    while True:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        path = folder / f"flight-{stamp}-{number}.npz"
        temporary = path.with_name(path.name + ".tmp")
        try:
            # Who has the temporary name may take the final one, if nobody did before.
            file = temporary.open("xb")
        except FileExistsError:
            number += 1
            continue
        try:
            with file:
                if not path.exists():
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                    os.rename(temporary, path)
                    sync_folder(folder)
                    return path
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        temporary.unlink()
        number += 1
