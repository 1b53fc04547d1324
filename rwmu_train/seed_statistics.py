"""Mean and spread of the simulated scores of a run's seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rwmu_train.studies.spread import Spread

NOT_A_SCORE = ("robots", "seconds", "variant")


def over_seeds(scores: Sequence[Mapping[str, float | str]]) -> dict[str, dict[str, float | None]]:
    """For each figure its `mean`, `std`, `min` and `max`, as JSON values.

    Args:
        scores: One a seed, all with the same figures.

    Returns:
        Figure -> statistics. The standard deviation is that of a sample (n - 1), None of one seed.
        A figure that is not finite for some seed has None throughout.
    """
    names = [name for name in scores[0] if name not in NOT_A_SCORE]
    return {name: _statistics(tuple(float(s[name]) for s in scores)) for name in names}


def _statistics(values: tuple[float, ...]) -> dict[str, float | None]:
    if not all(math.isfinite(value) for value in values):
        return dict.fromkeys(("mean", "std", "min", "max"))
    spread = Spread(values)
    return {
        "mean": spread.mean,
        "std": spread.deviation,
        "min": min(values),
        "max": max(values),
    }
