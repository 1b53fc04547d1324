"""What an import did: for people, for JSON, and in one line for the sidecar's note."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rwmu_train.bags.message_clock import TimedSeries, TimeSource
from rwmu_train.bags.message_series import FAULT_TEXT, MessageSeries

INTERPOLATION = (
    "joint state, base velocity and angular velocity linear between the messages before and after "
    "a row, orientation normalised linear; contacts and velocity commands held; action of the "
    "target in force half a control period before the row"
)
"""For the sidecar."""


@dataclass(frozen=True)
class SeriesReport:
    """One series: a topic, and what became of its messages."""

    name: str
    topic: str
    type: str
    messages: int
    rate_hz: float | None
    """Of the median distance; None for a single message."""
    longest_pause_s: float | None
    time_source: TimeSource
    median_lag_s: float | None
    """Receipt minus header stamp; None without stamps."""
    dropped: dict[str, int]
    """Messages that were sorted, dropped or not followed, by reason."""


@dataclass(frozen=True)
class ImportReport:
    """One bag."""

    bag: Path
    robot: str
    files: tuple[Path, ...]
    rows: int
    seconds: float
    episodes: int
    falls: int
    gaps: dict[str, int]
    """Why episodes ended that the recording goes on after, and how many."""
    left_out: dict[str, int]
    """Why rows of the control grid were left out, and how many."""
    left_out_share: float
    velocity_command_known_share: float
    locked_share: float
    """Share of the seconds with changing targets in which the rows lie where targets change."""
    receipt_lag_s: float
    """What was taken off times of receipt: the lag of the joint states behind their stamps."""
    torque_source: str
    contact_source: str
    base_velocity_source: str
    attitude_source: str
    series: tuple[SeriesReport, ...]
    notes: tuple[str, ...]


def report_series(name: str, series: MessageSeries, timed: TimedSeries) -> SeriesReport:
    """Describe a series."""
    pauses = np.diff(timed.time_s)
    dropped = {
        "same time as a later one": timed.duplicates,
        "sorted in": timed.out_of_order,
        "stamp disagrees with receipt": timed.implausible,
        "stamp jumped back": timed.jumped_back,
        "about other joints": series.other_joints,
        **{text: int(np.sum(timed.fault == fault)) for fault, text in FAULT_TEXT.items()},
    }
    return SeriesReport(
        name=name,
        topic=series.topic,
        type=series.type,
        messages=len(series.fault) + series.other_joints,
        rate_hz=1.0 / float(np.median(pauses)) if len(pauses) else None,
        longest_pause_s=float(pauses.max()) if len(pauses) else None,
        time_source=timed.time_source,
        median_lag_s=None if np.isnan(timed.median_lag_s) else timed.median_lag_s,
        dropped={reason: count for reason, count in dropped.items() if count > 0},
    )
