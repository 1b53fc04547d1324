"""The observations that a policy would have made on logged transitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.observation import build_observation
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.policy.policy_checkpoint import PolicyFacts
from rwmu_train.transitions.transition_files import (
    find_transition_files,
    read_transition_file,
)

MAX_OBSERVATIONS = 10_000


def read_recorded_observations(place: Path, facts: PolicyFacts) -> NDArray[np.float32]:
    """Observations of the rows of a CSV or of a folder of CSVs, evenly thinned out.

    Where the velocity command of a row is not known, the middle of the command range stands in.

    Returns:
        Shape (N, observation size), N <= 10,000.

    Raises:
        TransitionFileError: No data there, or data of another robot, or data that can't be read.
    """
    columns = TransitionColumns.of(facts.robot)
    middle = np.mean([facts.command_range.lower, facts.command_range.upper], axis=0)
    paths, _ = find_transition_files(place)
    per_file = max(1, MAX_OBSERVATIONS // len(paths))
    parts: list[NDArray[np.float32]] = []
    for path in paths[:MAX_OBSERVATIONS]:
        file = read_transition_file(path, facts.robot)
        rows = np.unique(np.linspace(0, len(file.rows) - 1, per_file).astype(np.intp))
        command = file.velocity_command[rows]
        known = np.isfinite(command).all(axis=1, keepdims=True)
        parts.append(
            build_observation(
                columns,
                file.rows[rows][:, columns.state],
                np.where(known, command, middle),
                file.rows[rows][:, columns.action.slice],
            )
        )
    return np.concatenate(parts)
