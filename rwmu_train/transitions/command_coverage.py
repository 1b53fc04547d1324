"""Which velocity commands the data show, and which a policy would have to guess."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rwmu_deploy.contract.observation import COMMAND_LABELS
from rwmu_train.transitions.dataset import TransitionDataset

CELLS_PER_AXIS = 4
LARGEST_COMMAND = 1.0
"""Commands are trained from -1 to 1 m/s, m/s, rad/s."""
_FEWEST_ROWS_PER_CELL = 50
_STANDING = 0.05


@dataclass(frozen=True)
class CommandCoverage:
    """Spread of the known commands."""

    known_share: float
    """Share of the rows whose command is known."""
    lowest: dict[str, float]
    """By axis; empty when no command is known."""
    highest: dict[str, float]
    standing_share: float
    """Share of the known rows whose command is shorter than 0.05."""
    occupied_share: float
    """Share of the 4 x 4 x 4 cells of commands from -1 to 1 with a second of data or more."""


def command_coverage(dataset: TransitionDataset) -> CommandCoverage:
    """Count the commands of all rows."""
    known = np.isfinite(dataset.velocity_command).all(axis=1)
    command = dataset.velocity_command[known]
    if len(command) == 0:
        return CommandCoverage(0.0, {}, {}, 0.0, 0.0)
    scaled = (command / LARGEST_COMMAND + 1.0) / 2.0 * CELLS_PER_AXIS
    cell = np.clip(scaled.astype(np.int64), 0, CELLS_PER_AXIS - 1)
    flat = (cell * np.array([CELLS_PER_AXIS**2, CELLS_PER_AXIS, 1])).sum(axis=1)
    occupied = np.bincount(flat, minlength=CELLS_PER_AXIS**3) >= _FEWEST_ROWS_PER_CELL
    return CommandCoverage(
        known_share=float(known.mean()),
        lowest=dict(zip(COMMAND_LABELS, command.min(axis=0).tolist(), strict=True)),
        highest=dict(zip(COMMAND_LABELS, command.max(axis=0).tolist(), strict=True)),
        standing_share=float(np.mean(np.linalg.norm(command, axis=1) < _STANDING)),
        occupied_share=float(occupied.mean()),
    )
