"""Ticks whose numbers tell them apart, and what a log made of them. Imports nothing heavy."""

import csv
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rwmu_deploy.collection.disk import Disk
from rwmu_deploy.collection.log_summary import LogSummary
from rwmu_deploy.collection.log_writer import LogWriter
from rwmu_deploy.collection.row_gap import MissingRow, RowGap
from rwmu_deploy.collection.segment_files import SegmentPaths, segment_indices
from rwmu_deploy.collection.transition_logger import TransitionLogger
from rwmu_deploy.collection.transition_row import TransitionRows
from rwmu_deploy.collection.transition_segment import SegmentOrigin
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.robot_state import RobotState, damping_command, position_command
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.runtime.safety_monitor import SafetyState
from rwmu_deploy.runtime.tick_report import Phase, TickReport

RUN, HOLD, DAMP, STOPPED = SafetyState
SPEC = load_robot_spec("anymal_d")
ORIGIN = SegmentOrigin("real", "measured", "estimated", "estimated")
COLUMNS = TransitionColumns.of(SPEC)


def tick(
    index: int,
    *,
    phase: Phase = "policy",
    state: SafetyState = RUN,
    fresh: bool = True,
    fell: bool = False,
    command: tuple[float, float, float] = (0.5, 0, 0),
    now_s: float = 0.0,
    skipped: int = 0,
    reasons: tuple[str, ...] = ("test: 1 s, allowed is 0 s",),
) -> TickReport:
    """Joint 0 is at default + index / 1000; the policy asked for index / 50, and got half."""
    position = SPEC.default_position_rad + 0.001 * index
    build = damping_command if state >= DAMP else position_command
    acts = phase == "policy" and state is RUN
    return TickReport(
        tick_index=index,
        now_s=now_s or 0.02 * index,
        phase=phase,
        state=state,
        reasons=() if state is RUN else reasons,
        robot_state=RobotState(
            base_linear_velocity_mps=np.array([0.1, 0.2, 0.3]),
            base_angular_velocity_radps=np.zeros(3),
            projected_gravity=np.array([0.0, 0.0, -1.0]),
            joint_position_rad=position,
            joint_velocity_radps=np.full(12, 0.5),
            joint_torque_nm=np.full(12, 7.0),
            contact=np.array([0, 0, 0, 0, 1, 0, 1, 0], dtype=float),
            received_s=(now_s or 0.02 * index) - 0.004,
        ),
        fresh=fresh,
        velocity_command=np.array(command, dtype=float),
        observation=None,
        raw_action=np.full(12, index / 50) if acts else None,
        applied_action=np.full(12, index / 100),
        command=build(SPEC, position),
        fell=fell,
        skipped=skipped,
        sensor_age_s=0.004,
    )


def log_ticks(folder: Path, ticks: list[TickReport], **settings: Any) -> LogSummary:
    """Log them all; never drops one for a slow disk."""
    logger = TransitionLogger(folder, SPEC, source="real", may_wait=True, **settings)
    for each in ticks:
        logger.on_tick(each)
    return logger.close()


def feed(writer: LogWriter, ticks: list[TickReport], rows: TransitionRows, gap: RowGap) -> RowGap:
    """Let a writer have what a logger would hand it; returns the gap after the last row."""
    for each in ticks:
        found = rows.take(each)
        if isinstance(found, MissingRow):
            gap = gap.plus(found)
            writer.take(None, gap)
        else:
            writer.take(found, gap)
            gap = RowGap()
    return gap


class QuickDisk(Disk):
    """The real disk, without waiting for it."""

    def fdatasync(self, descriptor: int) -> None:
        pass

    def fsync(self, descriptor: int) -> None:
        pass


@dataclass
class ReadSegment:
    """A segment, read with other means than rwmu's."""

    path: Path
    rows: np.ndarray
    ticks: list[dict[str, str]]
    spans: list[tuple[int, int, str]]
    meta: dict[str, Any]

    @property
    def indices(self) -> list[int]:
        """Of the ticks that the rows came from."""
        return [round(value) for value in 1000.0 * self.rows[:, 9]]


def read_segment(path: Path, *, is_made: bool = True) -> ReadSegment:
    """Read it, and hold it against its hashes and, where `tick` made it, its gaps."""
    paths = SegmentPaths.beside(path)
    meta = json.loads(paths.meta.read_text())
    for kind in ("csv", "episodes", "ticks"):
        content = getattr(paths, kind).read_bytes()
        assert meta[f"{kind}_sha256"] == hashlib.sha256(content).hexdigest()
    with open(paths.ticks, encoding="ascii", newline="") as file:
        ticks = list(csv.DictReader(file))
    lines = paths.episodes.read_text().splitlines()[1:]
    spans = [(int(a), int(b), end) for a, b, end, *_ in (line.split(",") for line in lines)]
    rows = np.loadtxt(path, delimiter=",", ndmin=2)
    segment = ReadSegment(path, rows, ticks, spans, meta)
    assert len(ticks) == len(rows) == meta["rows"]
    if not is_made:
        return segment
    for first, last, _ in spans:
        steps = np.diff(segment.indices[first : last + 1])
        assert (steps == 1).all(), "no span hides a missing row"
    for gap in meta["gaps"]:
        after = gap["after_row"]
        assert gap["ticks"] == sum(cause["ticks"] for cause in gap["causes"]) > 0
        if 0 <= after < len(rows) - 1:
            between = segment.indices[after + 1] - segment.indices[after] - 1
            if any(cause["cause"] == "journal_damaged" for cause in gap["causes"]):
                # Rows are numbered; a line that counted other ticks takes its count along.
                assert 0 < gap["ticks"] <= between
            else:
                assert gap["ticks"] == between, "a gap counts its ticks"
            assert after in [last for _, last, _ in spans], "a gap ends a span"
    return segment


def read_log(folder: Path) -> list[ReadSegment]:
    """All segments of a folder."""
    return [read_segment(SegmentPaths.of(folder, i).csv) for i in segment_indices(folder)]


def indices_in(folder: Path) -> list[int]:
    """Ticks that a folder has rows of."""
    return [index for segment in read_log(folder) for index in segment.indices]


def is_complete(summary: LogSummary) -> bool:
    """Whether every tick is accounted for, and once."""
    assert summary.dropped == sum(summary.dropped_by_cause.values())
    gaps = sum(summary.gap_ticks.values())
    return summary.ticks == summary.rows + summary.unpublished + summary.dropped + gaps


def wait_until(condition: Callable[[], bool]) -> None:
    """Let the writer's thread get there; how long that takes is the machine's affair."""
    for _ in range(30_000):
        if condition():
            return
        time.sleep(0.001)
    raise AssertionError("never came")
