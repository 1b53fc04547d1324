"""All figures of a bundle's monitor, from walks of its robots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.evaluation.monitor.alarms import (
    WINDOW_S,
    Detection,
    FalseAlarms,
    detection,
    false_alarms,
)
from rwmu_train.evaluation.monitor.disturbances import DISTURBANCES
from rwmu_train.evaluation.monitor.monitored_walk import MonitoredWalk
from rwmu_train.evaluation.monitor.window_ranking import (
    SCORE_WINDOW_S,
    WindowRanking,
    disturbed_scores,
    rank_windows,
    undisturbed_scores,
)

ONSET_S = 5.0
"""A robot walks for so long before something happens to it."""
ORDINARY_S = 30.0
"""Walk of every robot from which mean and spread of observations are taken."""
MONITOR, TRAINING_Z, ORDINARY_Z = "monitor", "z of training", "z of walking"
"""What windows are ranked by: the largest of the monitor's statistics; distances of the
observation from what the policy saw in training, and from a walk of this very robot."""
ALL = "all"
"""All disturbances together, in a ranking."""


@dataclass(frozen=True)
class MonitorSettings:
    """What is simulated.

    Raises:
        ConfigError: No robots, too little or too much time, a negative seed.
    """

    robots: int = 48
    seconds: float = 150.0
    """Of every robot's walk in which nothing happens."""
    seed: int = 0
    variant: str = "nominal"

    def __post_init__(self) -> None:
        if not self.robots >= 1:
            raise ConfigError(f"{self.robots} robots; allowed is 1 up", fix="Ask for more.")
        least = ONSET_S + SCORE_WINDOW_S
        if not least <= self.seconds <= 3600.0:
            raise ConfigError(
                f"walks of {self.seconds} s; allowed is {least:g} to 3600",
                fix="Give each robot some minutes.",
            )
        if not self.seed >= 0:
            raise ConfigError(f"seed {self.seed}; allowed is 0 up", fix="Correct it.")


@dataclass(frozen=True)
class MonitorJudgement:
    """What was found out."""

    undisturbed: FalseAlarms
    detections: Mapping[str, Detection]
    """By disturbance."""
    rankings: Mapping[str, Mapping[str, WindowRanking]]
    """By disturbance and ALL, then by MONITOR and the plain distances."""
    acting: Mapping[str, Detection]
    """By disturbance, where the monitor shrank the velocity command; or empty."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "undisturbed": self.undisturbed.to_dict(),
            "disturbances": {
                name: {
                    "what": DISTURBANCES[name].words,
                    **found.to_dict(),
                    "windows": _dicts(self.rankings.get(name, {})),
                    "acting": self.acting[name].to_dict() if name in self.acting else None,
                }
                for name, found in self.detections.items()
            },
            "windows_of_all": _dicts(self.rankings.get(ALL, {})),
        }


def judge_monitor(
    undisturbed: MonitoredWalk,
    disturbed: Mapping[str, MonitoredWalk],
    acting: Mapping[str, MonitoredWalk],
    distances: Sequence[str],
) -> MonitorJudgement:
    """Sum up walks.

    Args:
        undisturbed: Nothing happens.
        disturbed: By disturbance, which sets in after ONSET_S.
        acting: The same, with a monitor that acts; or empty.
        distances: Names of the plain distances that the walks have.
    """
    onset = round(ONSET_S / undisturbed.control_dt_s)
    rankings: dict[str, dict[str, WindowRanking]] = {}
    for place, number in enumerate((MONITOR, *distances)):
        others = undisturbed_scores(undisturbed, _score(undisturbed, place), onset)
        of_disturbance = {
            name: disturbed_scores(
                walk, _score(walk, place), onset, lasts=DISTURBANCES[name].lasts
            )
            for name, walk in disturbed.items()
        }
        of_disturbance[ALL] = np.concatenate([np.empty(0), *of_disturbance.values()])
        for name, scores in of_disturbance.items():
            if (ranking := rank_windows(scores, others)) is not None:
                rankings.setdefault(name, {})[number] = ranking
    return MonitorJudgement(
        undisturbed=false_alarms(undisturbed),
        detections={name: detection(walk, onset) for name, walk in disturbed.items()},
        rankings=rankings,
        acting={name: detection(walk, onset) for name, walk in acting.items()},
    )


def disturbed_seconds() -> float:
    """How long a walk with a disturbance is."""
    return ONSET_S + WINDOW_S


def _score(walk: MonitoredWalk, place: int) -> NDArray[np.float32]:
    """Of the monitor at place 0, then of the plain distances; shape (T, N)."""
    return walk.statistics.max(axis=2) if place == 0 else walk.distance[..., place - 1]


def _dicts(rankings: Mapping[str, WindowRanking]) -> dict[str, Any]:
    return {name: ranking.to_dict() for name, ranking in rankings.items()}
