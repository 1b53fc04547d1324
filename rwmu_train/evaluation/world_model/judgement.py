"""What was measured of a world model, for tables, pictures and JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.evaluation.world_model.calibration import Calibration
from rwmu_train.evaluation.world_model.contact_and_fall_scores import DetectionScore, FallScore
from rwmu_train.evaluation.world_model.forecast_windows import ForecastWindows
from rwmu_train.evaluation.world_model.judged_episodes import JudgedEpisodes, Split
from rwmu_train.evaluation.world_model.off_data import OffDataScore
from rwmu_train.evaluation.world_model.prediction_error import ErrorCurve
from rwmu_train.evaluation.world_model.rollout import Followed, Rollout
from rwmu_train.evaluation.world_model.uncertainty_ranking import UncertaintyRanking
from rwmu_train.world_model.checkpoint import WorldModelFacts

MOST_WINDOWS = 2000
CALIBRATED = "calibrated"
HOLD_LAST, LINEAR = "hold-last", "linear"


@dataclass(frozen=True)
class JudgementSettings:
    """What is measured."""

    horizon: int = 368
    """Steps to forecast, where episodes are long enough."""
    windows: int = 200
    seed: int = 0
    split: Split = "held-out"

    def __post_init__(self) -> None:
        if not self.horizon >= 1:
            raise ConfigError(
                f"--horizon is {self.horizon}; allowed is 1 step up", fix="Give 368, for example."
            )
        if not 2 <= self.windows <= MOST_WINDOWS:
            raise ConfigError(
                f"--windows is {self.windows}; allowed is 2 to {MOST_WINDOWS}",
                fix="Give 200, for example.",
            )


@dataclass(frozen=True)
class CoverageScore:
    """Share of errors within one and two standard deviations at a step."""

    one_sigma: float
    two_sigma: float


@dataclass(frozen=True)
class FollowedScore:
    """What holds for one way of feeding back."""

    rollout: Rollout
    error: dict[str, ErrorCurve]
    """`total` and each state block."""
    ranking: dict[str, UncertaintyRanking]
    """Of `std_sum`, `variance` and `calibrated` (sum of the calibrated standard deviations), on
    the second half of the episodes."""
    step_index: UncertaintyRanking
    """What the number of the step alone would reach there."""
    calibration: Calibration
    """Fitted on the first half of the episodes."""
    coverage_before: dict[int, CoverageScore]
    """Of the bare disagreement, on the second half of the episodes, by step."""
    coverage_after: dict[int, CoverageScore]
    noise: dict[float, float]
    """Error at step 8 by noise on the history."""
    off_data: OffDataScore | None


@dataclass(frozen=True)
class Judgement:
    """A world model's report."""

    facts: WorldModelFacts
    settings: JudgementSettings
    episodes: JudgedEpisodes
    windows: ForecastWindows
    fitted_windows: int
    """The first windows: calibration is fitted to them, and reported on the others."""
    steps: tuple[int, ...]
    """Steps that tables name; the last one is H."""
    followed: dict[Followed, FollowedScore]
    baselines: dict[str, dict[str, ErrorCurve]]
    """`hold-last` and `linear`."""
    contacts: dict[str, DetectionScore]
    falls: FallScore
    notes: tuple[str, ...]

    @property
    def calibrations(self) -> dict[Followed, Calibration]:
        return {followed: score.calibration for followed, score in self.followed.items()}

    @property
    def reported(self) -> slice:
        """Windows that calibration was not fitted to."""
        return slice(self.fitted_windows, None)

    def to_dict(self) -> dict[str, Any]:
        """For JSON; null where a number does not exist."""
        return {
            "schema": 1,
            "iteration": self.facts.iteration,
            "settings": _plain(self.settings),
            "judged": self.episodes.explanation,
            "unseen": self.episodes.unseen,
            "data_sha256": list(self.episodes.judged.file_sha256),
            "windows": self.windows.count,
            "windows_calibrated_on": self.fitted_windows,
            "episodes": self.windows.episodes,
            "history": self.windows.history,
            "horizon": self.windows.horizon,
            "notes": list(self.notes),
            "followed": _plain(self.followed, without="rollout"),
            "baselines": _plain(self.baselines),
            "contacts": _plain(self.contacts),
            "falls": _plain(self.falls) | {"remark": self.falls.remark},
        }


def _plain(value: Any, without: str = "") -> Any:
    """Lists, mappings and numbers that JSON knows; what isn't finite becomes None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v, without) for k, v in value.items() if k != without}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(entry, without) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
