"""When robots fall: into the episode, and after the command changed.

Most falls of a policy that walks come just after a command, which a share of falls alone hides.
N = robots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TIME_BIN_S = 1.0
SINCE_COMMAND_BIN_S = 0.5
SOON_S = 2.0
"""A fall within this time of a command came soon after it."""


@dataclass(frozen=True)
class FallTimes:
    """Histograms of falls; bin i is from i to i + 1 widths."""

    time_bin_s: float
    by_time: tuple[int, ...]
    """Falls by time since the episode began."""
    since_command_bin_s: float
    by_time_since_command: tuple[int, ...]
    """Falls by time since the command was given; the first one is given at the start."""
    soon_share: float | None
    """Share of the falls that came within SOON_S of a command; None without falls."""


def fall_times(
    fall_step: NDArray[np.int64], steps: int, command_steps: int, dt_s: float
) -> FallTimes:
    """Count falls.

    Args:
        fall_step: Step of the first fall, -1 without one, shape (N,).
        steps: Of an episode.
        command_steps: Steps that a command holds.
        dt_s: Of a step.
    """
    fallen = fall_step[fall_step >= 0]
    since = fallen % command_steps
    return FallTimes(
        time_bin_s=TIME_BIN_S,
        by_time=_histogram(fallen, steps, round(TIME_BIN_S / dt_s)),
        since_command_bin_s=SINCE_COMMAND_BIN_S,
        by_time_since_command=_histogram(
            since, min(steps, command_steps), round(SINCE_COMMAND_BIN_S / dt_s)
        ),
        soon_share=float((since < round(SOON_S / dt_s)).mean()) if len(fallen) else None,
    )


def _histogram(step: NDArray[np.int64], steps: int, width: int) -> tuple[int, ...]:
    return tuple(np.bincount(step // width, minlength=-(-steps // width)).tolist())
