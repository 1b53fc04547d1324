"""What a row's tick was like, beside the public CSV: one line a row in `*.ticks.csv`.

Time, age, safety state, phase and reasons are those of the tick at which the state was measured.
The raw action is what the policy asked for one tick earlier, of which the action in the same row
of the public CSV was made; it is empty where the policy wasn't asked, or said nothing usable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.collection.row_gap import LONGEST_REASON, MOST_REASONS
from rwmu_deploy.contract.robot_spec import RobotSpec


@dataclass(frozen=True)
class TickNote:
    """Of one row. A = action size."""

    time_s: float
    """Since the first tick of the log."""
    sensor_age_s: float
    """Age of the oldest part of the measurement."""
    state: str
    """Name of the safety state."""
    phase: str
    raw_action: NDArray[np.float64] | None
    """Shape (A,)."""
    reasons: tuple[str, ...]
    """Why the state isn't RUN."""


def ticks_header(spec: RobotSpec) -> str:
    """First line of the file, without its newline."""
    actions = (f"raw_action[{name}]" for name in spec.joint_names)
    return ",".join(("time_s", "sensor_age_s", "state", "phase", *actions, "reasons"))


def tick_line(note: TickNote, action_size: int) -> str:
    """A line without its newline: plain ASCII, and quoted as CSV asks for where needed."""
    if note.raw_action is None:
        actions = "," * (action_size - 1)
    else:
        # Nine digits, which a float32 survives exactly.
        with np.errstate(over="ignore"):
            numbers = note.raw_action.astype(np.float32).tolist()
        actions = ",".join(["%.9g"] * action_size) % tuple(numbers)
    reasons = "; ".join(reason[:LONGEST_REASON] for reason in note.reasons[:MOST_REASONS])
    start = f"{note.time_s:.6f},{note.sensor_age_s:.6f},{note.state},{note.phase}"
    return f"{start},{actions},{_quoted(reasons)}"


def _quoted(text: str) -> str:
    if not text:
        return ""
    plain = text.encode("unicode_escape").decode("ascii")
    return '"' + plain.replace('"', '""') + '"'
