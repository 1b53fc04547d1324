"""Windows of consecutive rows by start index: never copied out, never across an episode's end.

One million rows have a million windows; as an index array they take 8 MB instead of 10 GB.
K = windows, L = window length, C = columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.transitions.dataset import TransitionDataset, indices_of_ranges


def window_starts(dataset: TransitionDataset, length: int) -> NDArray[np.int64]:
    """First rows of all windows of `length` rows that lie inside one episode.

    Returns:
        Ascending row indices, shape (K,); K is 0 if every episode is shorter.

    Raises:
        ConfigError: `length` is below 1.
    """
    if not length >= 1:
        raise ConfigError(
            f"window length is {length}; allowed is 1 row or more",
            fix="Use history plus forecast, for example 32 + 8.",
        )
    windows = np.maximum(dataset.episode_length - length + 1, 0)
    return indices_of_ranges(dataset.episode_start, windows)


def gather(
    dataset: TransitionDataset, starts: NDArray[np.integer], length: int
) -> NDArray[np.float32]:
    """Copy out the windows of one batch.

    Args:
        dataset: Where the rows are.
        starts: Some of `window_starts(dataset, length)`, shape (K,).
        length: Rows a window.

    Returns:
        Shape (K, L, C).
    """
    return dataset.rows[starts[:, None] + np.arange(length)]
