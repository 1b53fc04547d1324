"""Precision and recall of contacts, and of falls where there are any. K contacts, R rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_train.evaluation.world_model.ranking import PrecisionRecall, precision_recall
from rwmu_train.evaluation.world_model.teacher_forced import TeacherForced

STATED_PRECISIONS = (0.5, 0.9)
_THRESHOLD = 0.5
_CURVE_POINTS = 200


@dataclass(frozen=True)
class DetectionScore:
    """At probability 0.5; None where the denominator is 0."""

    rows: int
    """Rows where it is true."""
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class FallScore:
    """How well falls are foretold one step ahead."""

    rows: int
    rows_available: int
    """More than `rows` where only a random part was judged."""
    falls: int
    falls_without_history: int
    """Falls so early in their episode that they can't be judged."""
    at_half: DetectionScore
    average_precision: float | None
    """Without falls None; a model that knows nothing has about falls / rows."""
    recall_at_precision: dict[float, float] | None
    curve: PrecisionRecall | None
    """Thinned to 200 thresholds."""

    @property
    def remark(self) -> str | None:
        """What a reader must know before believing the numbers."""
        if self.falls == 0:
            return "no falls in the judged rows: nothing can be said about termination"
        if self.falls < 20:
            return f"only {self.falls} falls: one more or less changes the scores a lot"
        return None


def contact_scores(judged: TeacherForced, names: tuple[str, ...]) -> dict[str, DetectionScore]:
    """Scores of each contact, by name."""
    said = judged.contact_probability > _THRESHOLD
    return {name: detection(said[:, k], judged.contact[:, k]) for k, name in enumerate(names)}


def fall_score(judged: TeacherForced) -> FallScore:
    """Scores of termination."""
    curve = precision_recall(judged.fall_probability, judged.fell)
    at_precision = None
    if curve is not None:
        at_precision = {p: curve.recall_at(p) for p in STATED_PRECISIONS}
    return FallScore(
        rows=len(judged.fell),
        rows_available=judged.rows_available,
        falls=int(judged.fell.sum()),
        falls_without_history=judged.falls_without_history,
        at_half=detection(judged.fall_probability > _THRESHOLD, judged.fell),
        average_precision=None if curve is None else curve.average_precision,
        recall_at_precision=at_precision,
        curve=None if curve is None else curve.thinned(_CURVE_POINTS),
    )


def detection(said: NDArray[np.bool_], true: NDArray[np.bool_]) -> DetectionScore:
    """Score of what was said of rows, shape (R,), against what was true."""
    hits, claims, rows = int((said & true).sum()), int(said.sum()), int(true.sum())
    return DetectionScore(
        rows=rows,
        precision=_share(hits, claims),
        recall=_share(hits, rows),
        f1=_share(2 * hits, claims + rows),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
