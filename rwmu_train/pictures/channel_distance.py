"""How far each channel of a data set lies from the same channel of a reference set.

N = rows of the data, M = rows of the reference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.transition_columns import ColumnBlock
from rwmu_train.pictures.thinned_rows import MOST_ROWS, thinned_rows
from rwmu_train.transitions.dataset import TransitionDataset

FloatArray = NDArray[np.floating]

BINS = 60
_TAIL = 0.001
"""Share of the rows at each end that may lie beyond a histogram's axis."""


@dataclass(frozen=True)
class ChannelHistogram:
    """One channel's spread, next to that of the reference where there is one."""

    block: ColumnBlock
    label: str
    """A joint, an axis."""
    edges: FloatArray
    """Shape (BINS + 1,), in the channel's unit."""
    share: FloatArray
    """Share of the rows in each bin, shape (BINS,)."""
    reference_share: FloatArray | None
    distance_std: float | None
    """1-D Wasserstein distance in standard deviations of the reference; None without one."""


def wasserstein_distance(a: FloatArray, b: FloatArray) -> float:
    """Mean way that the values of `a` (N,) must move to become those of `b` (M,).

    It is the area between the two cumulative distributions, exact for finite samples.
    """
    a, b = np.sort(a), np.sort(b)
    both = np.sort(np.concatenate([a, b]))
    below_a = np.searchsorted(a, both[:-1], side="right") / len(a)
    below_b = np.searchsorted(b, both[:-1], side="right") / len(b)
    return float(np.sum(np.abs(below_a - below_b) * np.diff(both)))


def distance_in_std(values: FloatArray, reference: FloatArray) -> float:
    """Wasserstein distance over the reference's standard deviation.

    Infinite where the reference never moves and the values are elsewhere.
    """
    distance = wasserstein_distance(values, reference)
    if distance == 0.0:
        return 0.0
    std = float(reference.std())
    return distance / std if std > 0.0 else float("inf")


def channel_histograms(
    dataset: TransitionDataset, reference: TransitionDataset | None, most: int = MOST_ROWS
) -> tuple[ChannelHistogram, ...]:
    """Histograms of every channel of state and action, over `most` rows of each set at most.

    Returns:
        Without a reference in column order; with one, the largest distance first.
    """
    rows = thinned_rows(dataset, most).index
    reference_rows = None if reference is None else thinned_rows(reference, most).index
    found: list[ChannelHistogram] = []
    for block in (*dataset.columns.state_blocks, dataset.columns.action):
        values = dataset.rows[rows, block.slice].astype(np.float64)
        other = None
        if reference is not None and reference_rows is not None:
            other = reference.rows[reference_rows, block.slice].astype(np.float64)
        found += [
            _histogram(block, label, values[:, i], None if other is None else other[:, i])
            for i, label in enumerate(block.labels)
        ]
    if reference is not None:
        found.sort(key=lambda channel: -(channel.distance_std or 0.0))
    return tuple(found)


def _histogram(
    block: ColumnBlock, label: str, values: FloatArray, reference: FloatArray | None
) -> ChannelHistogram:
    edges = _edges([values] if reference is None else [values, reference])
    return ChannelHistogram(
        block=block,
        label=label,
        edges=edges,
        share=np.histogram(values, edges)[0] / len(values),
        reference_share=(
            None if reference is None else np.histogram(reference, edges)[0] / len(reference)
        ),
        distance_std=None if reference is None else distance_in_std(values, reference),
    )


def _edges(samples: list[FloatArray]) -> FloatArray:
    ends = np.array([np.quantile(sample, (_TAIL, 1.0 - _TAIL)) for sample in samples])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    margin = 0.02 * (high - low) if high > low else max(0.5, 1e-3 * abs(low))
    return np.linspace(low - margin, high + margin, BINS + 1)
