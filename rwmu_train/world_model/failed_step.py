"""Where in the data a loss that is not a number may come from: files, rows and columns.

B = sequences, L = rows of a sequence, C = columns.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.findings import listed
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.transitions.windows import gather

ORDINARY = 100.0
"""Largest normalised input that data of a walking robot hold, with a wide margin."""


def not_finite(
    what: str,
    dataset: TransitionDataset,
    normaliser: StateNormaliser,
    starts: NDArray[np.int64],
    rows: int,
) -> ConfigError:
    """The error that ends training.

    Args:
        what: What is not finite, and when: "the loss is nan at iteration 7".
        dataset: Where the sequences are.
        normaliser: Of the states.
        starts: First rows of the sequences, shape (B,).
        rows: L.
    """
    row, column, value = _largest_input(dataset, normaliser, starts, rows)
    label = dataset.columns.label(column)
    largest = f"the largest input is {label} = {value:.3g}, normalised, in {_place(dataset, row)}"
    sequences = listed([_place(dataset, int(start)) for start in np.unique(starts)], most=4)
    return ConfigError(
        f"{what}; the last good checkpoint is kept. Of its sequences {largest}; "
        f"they start in {sequences}",
        fix="Lower the learning rate."
        if abs(value) <= ORDINARY
        else "Correct that row or leave it out; see rwmu-data check.",
    )


def _largest_input(
    dataset: TransitionDataset,
    normaliser: StateNormaliser,
    starts: NDArray[np.int64],
    rows: int,
) -> tuple[int, int, float]:
    """Row of the data set, column and normalised value; NaN is larger than any number."""
    columns = dataset.columns
    window = gather(dataset, starts, rows).reshape(-1, columns.count)
    window[:, columns.state] = normaliser.normalise(window[:, columns.state])
    size = np.abs(window)
    size[:, columns.extension.slice] = 0.0  # no input of the model
    size[np.isnan(size)] = math.inf
    at, column = divmod(int(size.argmax()), columns.count)
    sequence, row = divmod(at, rows)
    return int(starts[sequence]) + row, column, float(window[at, column])


def _place(dataset: TransitionDataset, row: int) -> str:
    """File and row, as errors of reading name them."""
    file = next(f for f in reversed(dataset.files) if f.first_row <= row)
    inside = row - file.first_row
    return f"{file.path} row {inside} (line {inside + 1})"
