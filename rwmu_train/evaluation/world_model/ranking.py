"""How well scores rank outcomes. Ties share their mean rank; None where nothing can be ranked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]


def pearson(x: FloatArray, y: FloatArray) -> float | None:
    """Linear correlation over all points; None where one of them is constant."""
    x, y = (np.asarray(values, dtype=np.float64).ravel() for values in (x, y))
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / scale if scale > 0.0 else None


def spearman(x: FloatArray, y: FloatArray) -> float | None:
    """Correlation of ranks over all points."""
    return pearson(ranks(x), ranks(y))


def ranks(values: FloatArray) -> NDArray[np.float64]:
    """From 1, flattened."""
    return pd.Series(np.ravel(values)).rank().to_numpy(dtype=np.float64)


def auroc(score: FloatArray, positive: NDArray[np.bool_]) -> float | None:
    """Share of pairs of a positive and a negative in which the positive has the higher score."""
    positive = np.ravel(positive)
    count = int(positive.sum())
    others = positive.size - count
    if count == 0 or others == 0:
        return None
    above = ranks(score)[positive].sum() - count * (count + 1) / 2
    return float(above / (count * others))


@dataclass(frozen=True)
class PrecisionRecall:
    """One point for every different score, from the highest threshold to the lowest."""

    threshold: FloatArray
    precision: FloatArray
    recall: FloatArray

    @property
    def average_precision(self) -> float:
        """Sum over thresholds of precision times gain in recall."""
        return float((np.diff(self.recall, prepend=0.0) * self.precision).sum())

    def recall_at(self, precision: float) -> float:
        """The most that can be found with at least this precision; 0 if nothing can."""
        return float(self.recall[self.precision >= precision].max(initial=0.0))

    def thinned(self, most: int) -> PrecisionRecall:
        """At most so many points, evenly over recall, both ends among them.

        Positives are rare: evenly over thresholds, nearly all points would lie at the last ones.
        """
        evenly = np.linspace(self.recall[0], self.recall[-1], most - 1)
        # The first threshold that finds so much; after the last one come false alarms alone.
        index = np.searchsorted(self.recall, evenly)
        index = np.unique(np.append(index, len(self.threshold) - 1))
        return PrecisionRecall(self.threshold[index], self.precision[index], self.recall[index])


def precision_recall(score: FloatArray, positive: NDArray[np.bool_]) -> PrecisionRecall | None:
    """The curve; None without positives."""
    if not positive.any():
        return None
    order = np.argsort(-score, kind="stable")
    score, found = score[order], np.cumsum(positive[order])
    last = np.append(score[1:] != score[:-1], True)
    said = np.arange(1, len(score) + 1)
    return PrecisionRecall(score[last], (found / said)[last], (found / found[-1])[last])
