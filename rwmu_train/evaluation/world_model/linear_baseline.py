"""What a linear model would forecast: the least that a recurrent network must beat.

Ridge regression of the change of the normalised state on state and action,
state_{t+1} - state_t = [state_t, action_{t+1}, 1] X. H steps, W windows, S state, A action.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_train.evaluation.world_model.forecast_windows import ForecastWindows
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.normaliser import StateNormaliser

RIDGE_PER_ROW = 1.0e-6
"""Penalty over the number of rows: enough for columns that are constant, too little to matter."""
_CHUNK_ROWS = 1 << 16


@dataclass(frozen=True)
class LinearBaseline:
    """X, shape (S + A + 1, S)."""

    weight: NDArray[np.float64]

    def forecast(self, windows: ForecastWindows) -> NDArray[np.float64]:
        """Fed with its own predictions and the logged actions, shape (H, W, S)."""
        batch, history = windows.batch, windows.history
        state = batch.state[history - 1].numpy().astype(np.float64)
        forecast = np.empty(windows.target.shape)
        for step in range(windows.horizon):
            state = state + _inputs(state, batch.action[history + step].numpy()) @ self.weight
            forecast[step] = state
        return forecast


def fit_linear(dataset: TransitionDataset, normaliser: StateNormaliser) -> LinearBaseline:
    """Fit to all pairs of successive rows of a data set, 65,536 at a time.

    Raises:
        TransitionFileError: No episode has two rows.
    """
    after = dataset.rows_within(before=1, after=0)
    if len(after) == 0:
        raise TransitionFileError(
            "a linear baseline can't be fitted: no episode has two rows",
            fix="Give longer episodes.",
        )
    columns = dataset.columns
    size = columns.state_size + columns.action.size + 1
    gram, moment = np.zeros((size, size)), np.zeros((size, columns.state_size))
    for begin in range(0, len(after), _CHUNK_ROWS):
        row = after[begin : begin + _CHUNK_ROWS]
        state = normaliser.normalise(dataset.states[row - 1])
        inputs = _inputs(state, dataset.actions[row])
        gram += inputs.T @ inputs
        moment += inputs.T @ (normaliser.normalise(dataset.states[row]) - state)
    penalty = np.full(size, RIDGE_PER_ROW * len(after))
    penalty[-1] = 0.0
    weight = np.linalg.solve(gram + np.diag(penalty), moment)
    return LinearBaseline(np.asarray(weight, dtype=np.float64))


def _inputs(state: NDArray[np.floating], action: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.concatenate([state, action, np.ones((len(state), 1))], axis=1, dtype=np.float64)
