"""Take few enough rows of a data set that millions of them draw in seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_train.transitions.dataset import TransitionDataset

MOST_ROWS = 100_000
"""A histogram of 60 bins does not change visibly with more."""


@dataclass(frozen=True)
class ThinnedRows:
    """Every `step`-th row of a data set."""

    index: NDArray[np.int64]
    step: int

    @property
    def said(self) -> str:
        """For captions."""
        count = f"{len(self.index):,} rows"
        return f"all {count}" if self.step == 1 else f"every {self.step}th row, {count}"


def thinned_rows(dataset: TransitionDataset, most: int = MOST_ROWS) -> ThinnedRows:
    """Rows spread evenly over the data set, `most` at most."""
    rows = dataset.member_rows()
    step = -(-len(rows) // most)
    return ThinnedRows(rows[::step], step)
