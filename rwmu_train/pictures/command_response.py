"""Which velocities were commanded, and which the robot then had.

N = rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.pictures.thinned_rows import MOST_ROWS, thinned_rows
from rwmu_train.transitions.dataset import TransitionDataset

FloatArray = NDArray[np.floating]

SETTLING_S = 1.0
"""Time after a new command that is left out of responses."""
RESPONSE_BINS = 16
_FEWEST_ROWS_PER_BIN = 20
_FEWEST_SETTLED_SHARE = 0.1


@dataclass(frozen=True)
class CommandedRows:
    """Commanded and achieved velocity of thinned rows."""

    command: FloatArray
    """vx [m/s], vy [m/s], wz [rad/s] in the base frame, shape (N, 3); NaN where not known."""
    achieved: FloatArray
    """The same of the base, shape (N, 3)."""
    settled: NDArray[np.bool_]
    """Whether the command is known and has stood for SETTLING_S, shape (N,)."""

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether the command is known, shape (N,)."""
        return ~np.isnan(self.command[:, 0])


@dataclass(frozen=True)
class Response:
    """Achieved velocity over commanded velocity along one axis, bin by bin."""

    command: FloatArray
    """Mean command in each bin that holds enough rows."""
    low: FloatArray
    """10th percentile of the achieved velocity."""
    median: FloatArray
    high: FloatArray
    """90th percentile."""
    after_settling: bool
    """False where commands change too often for it: then all rows count."""


def commanded_rows(dataset: TransitionDataset, most: int = MOST_ROWS) -> CommandedRows:
    """Commands and base velocities of `most` rows at most."""
    rows = thinned_rows(dataset, most).index
    # An unknown command differs from itself: its age stays 0.
    age_s = _command_age_rows(dataset)[rows] * dataset.spec.control_dt_s
    return CommandedRows(
        command=dataset.velocity_command[rows].astype(np.float64),
        achieved=planar_velocity(dataset.columns, dataset.rows[rows]),
        settled=age_s >= SETTLING_S,
    )


def planar_velocity(columns: TransitionColumns, rows: NDArray[np.float32]) -> FloatArray:
    """Columns vx [m/s], vy [m/s], wz [rad/s] of the base in the base frame, shape (N, 3)."""
    linear = rows[:, columns.base_linear_velocity_mps.slice]
    angular = rows[:, columns.base_angular_velocity_radps.slice]
    return np.column_stack([linear[:, :2], angular[:, 2]]).astype(np.float64)


def response(rows: CommandedRows, axis: int) -> Response:
    """Percentiles of what axis 0, 1 or 2 achieved, for bins of what it was told.

    At least one command must be known.
    """
    known = rows.known
    after_settling = bool(rows.settled.sum() >= _FEWEST_SETTLED_SHARE * known.sum())
    chosen = rows.settled if after_settling else known
    command, achieved = rows.command[chosen, axis], rows.achieved[chosen, axis]
    edges = np.linspace(command.min(), command.max() + 1e-9, RESPONSE_BINS + 1)
    bin_of_row = np.digitize(command, edges[1:-1])
    filled = [
        inside
        for inside in (bin_of_row == i for i in range(RESPONSE_BINS))
        if inside.sum() >= _FEWEST_ROWS_PER_BIN
    ]
    low, median, high = (
        np.array([np.quantile(achieved[inside], share) for inside in filled])
        for share in (0.1, 0.5, 0.9)
    )
    mean = np.array([command[inside].mean() for inside in filled])
    return Response(mean, low, median, high, after_settling)


def _command_age_rows(dataset: TransitionDataset) -> NDArray[np.int64]:
    """Rows since the command changed or the episode began, shape of all rows."""
    command = dataset.velocity_command
    fresh = np.ones(len(command), dtype=bool)
    fresh[1:] = (command[1:] != command[:-1]).any(axis=1)
    fresh[dataset.episode_start] = True
    index = np.arange(len(command))
    return index - np.maximum.accumulate(np.where(fresh, index, 0))
