"""Is a new policy better than the old one? Both meet the same robots, starts and commands.

N = episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from rwmu_train.evaluation.policy.policy_score import return_over_reference, wilson_interval
from rwmu_train.evaluation.policy.simulated_episodes import PolicyEpisodes

Verdict = Literal["better", "as good", "worse"]
_Z95 = 1.959964


@dataclass(frozen=True)
class PolicyComparison:
    """One new policy beside the old one."""

    name: str
    return_ratio: float
    """Mean return over the old policy's."""
    ratio_interval: tuple[float, float]
    """95 %, of paired episodes."""
    falls: float
    """Share of the episodes."""
    old_falls: float
    fall_change: float
    """Share of falls minus the old one's."""
    fall_change_interval: tuple[float, float]
    """95 %, of paired episodes."""

    @property
    def verdict(self) -> Verdict:
        """Worse where it surely earns less or falls more; better where it surely earns more."""
        if not (self.ratio_interval[1] >= 1.0 and self.fall_change_interval[0] <= 0.0):
            return "worse"
        return "better" if self.ratio_interval[0] > 1.0 else "as good"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "verdict": self.verdict}


def compare_policies(name: str, new: PolicyEpisodes, old: PolicyEpisodes) -> PolicyComparison:
    """Compare paired episodes.

    Raises:
        ConfigError: They are not of the same settings, or the old policy earned nothing.
    """
    ratio, interval = return_over_reference(new, old)
    change = new.fell.astype(float) - old.fell.astype(float)
    mean, half = float(change.mean()), _Z95 * float(change.std()) / np.sqrt(len(change))
    return PolicyComparison(
        name=name,
        return_ratio=ratio,
        ratio_interval=interval,
        falls=float(new.fell.mean()),
        old_falls=float(old.fell.mean()),
        fall_change=mean,
        fall_change_interval=(mean - half, mean + half),
    )


def overall(comparisons: Sequence[PolicyComparison]) -> dict[str, float]:
    """Mean over several new policies, such as the seeds of one training."""
    ratios = np.array([each.return_ratio for each in comparisons])
    falls = np.array([each.falls for each in comparisons])
    return {
        "return_ratio_mean": float(ratios.mean()),
        "return_ratio_least": float(ratios.min()),
        "falls_mean": float(falls.mean()),
        "old_falls": comparisons[0].old_falls,
    }


def falls_in_words(share: float, episodes: int) -> str:
    """A share of falls with its 95 % interval."""
    low, high = wilson_interval(round(share * episodes), episodes)
    return f"{100 * share:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
