"""What a session of collecting left behind: where the robot was, and what kept it from walking.

N = looks, in the order in which they were made.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import LogError
from rwmu_deploy.patrol.collect_plan import CollectPlan
from rwmu_deploy.patrol.collect_session import LOOK_S, PATH_COLUMNS, SessionEvent
from rwmu_deploy.patrol.session_folder import (
    DATA,
    EVENT_COLUMNS,
    read_progress,
    read_session,
)

FloatArray = NDArray[np.float64]
_WORDS = ("mode", "state")
DAMPED = ("DAMP", "STOPPED")


@dataclass(frozen=True)
class SessionFacts:
    """A session, over all starts of its program."""

    folder: Path
    about: Mapping[str, Any]
    """Robot, bundle, source and plan, as in session.json."""
    plan: CollectPlan
    progress: Mapping[str, Any]
    numbers: Mapping[str, FloatArray]
    """Those of `PATH_COLUMNS` that are numbers, each shape (N,)."""
    mode: tuple[str, ...]
    """What the robot did, length N."""
    state: tuple[str, ...]
    """Its safety state, length N."""
    start: NDArray[np.int64]
    """Which start of the program, shape (N,)."""
    events: tuple[SessionEvent, ...]
    torn_lines: int
    """Lines of the path and of the events that a kill or a full disk left incomplete."""

    @property
    def data(self) -> Path:
        return self.folder / DATA

    @property
    def is_damped(self) -> NDArray[np.bool_]:
        """Shape (N,)."""
        return np.isin(self.state, DAMPED)

    @property
    def deepest_out_m(self) -> float | None:
        """How far beyond the edge odometry saw the robot; below 0: it stayed inside."""
        position = np.stack([self.numbers["x_m"], self.numbers["y_m"]], axis=-1)
        known = position[np.isfinite(position).all(axis=1)]
        return float(-self.plan.area.depth_m(known).min()) if len(known) else None

    @property
    def mode_s(self) -> dict[str, float]:
        """Time in each mode."""
        return {mode: count * LOOK_S for mode, count in Counter(self.mode).items()}

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "session": str(self.folder),
            **{name: self.about[name] for name in ("robot", "bundle", "bundle_sha256", "source")},
            "progress": dict(self.progress),
            "mode_s": self.mode_s,
            "deepest_out_m": self.deepest_out_m,
            "events": [vars(event) for event in self.events],
            "torn_lines": self.torn_lines,
        }


def read_facts(folder: Path) -> SessionFacts:
    """Read a session's folder.

    Raises:
        LogError: It holds no session, or one that never began.
    """
    about = read_session(folder)
    progress = read_progress(folder)
    path, torn_path = _lines(
        folder, "path", PATH_COLUMNS, {name for name in PATH_COLUMNS if name not in _WORDS}
    )
    events, torn_events = _lines(folder, "events", EVENT_COLUMNS, {"t_s"})
    if progress is None or not path:
        raise LogError(f"the session in {folder} never began", fix="Start it first.")
    return SessionFacts(
        folder=folder,
        about=about,
        plan=CollectPlan.from_dict(about["plan"]),
        progress=progress,
        numbers={
            name: np.array([float(line[name]) for _, line in path])
            for name in PATH_COLUMNS
            if name not in _WORDS
        },
        mode=tuple(line["mode"] for _, line in path),
        state=tuple(line["state"] for _, line in path),
        start=np.array([start for start, _ in path], dtype=np.int64),
        events=tuple(
            SessionEvent(float(line["t_s"]), line["kind"], line["detail"]) for _, line in events
        ),
        torn_lines=torn_path + torn_events,
    )


def _lines(
    folder: Path, kind: str, columns: tuple[str, ...], numbers: set[str]
) -> tuple[list[tuple[int, dict[str, str]]], int]:
    """Whole lines of all starts, each with its start, and how many were torn."""
    lines: list[tuple[int, dict[str, str]]] = []
    torn = 0
    for start in sorted(int(path.stem.split("_")[1]) for path in folder.glob(f"{kind}_*.csv")):
        file = folder / f"{kind}_{start}.csv"
        try:
            rows = list(csv.reader(file.read_text().splitlines()))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise LogError(
                f"{file} can't be read: {error}", fix="Restore or remove it."
            ) from error
        if not rows or tuple(rows[0]) != columns:
            raise LogError(
                f"{file} begins with {','.join(rows[0]) if rows else 'nothing'}; allowed is "
                f"{','.join(columns)}",
                fix="Restore or remove it.",
            )
        for row in rows[1:]:
            line = dict(zip(columns, row, strict=False))
            if len(row) == len(columns) and all(_is_number(line[name]) for name in numbers):
                lines.append((start, line))
            else:
                torn += 1
    return lines, torn


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
