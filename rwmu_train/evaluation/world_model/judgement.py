"""Everything that is measured about a world model, in one go. H steps, W windows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.evaluation.world_model.calibration import (
    Calibration,
    coverage,
    fit_calibration,
)
from rwmu_train.evaluation.world_model.contact_and_fall_scores import (
    DetectionScore,
    FallScore,
    contact_scores,
    fall_score,
)
from rwmu_train.evaluation.world_model.forecast_windows import (
    ForecastWindows,
    draw_windows,
    longest_horizon,
    side_by_side,
)
from rwmu_train.evaluation.world_model.judged_episodes import (
    JudgedEpisodes,
    Split,
    choose_episodes,
)
from rwmu_train.evaluation.world_model.linear_baseline import fit_linear
from rwmu_train.evaluation.world_model.noise_robustness import error_under_noise
from rwmu_train.evaluation.world_model.off_data import OffDataScore, judge_off_data
from rwmu_train.evaluation.world_model.prediction_error import (
    ErrorCurve,
    error_curves,
    l1_error,
)
from rwmu_train.evaluation.world_model.rollout import (
    FOLLOWED,
    Followed,
    Rollout,
    hold_last,
    roll_out,
)
from rwmu_train.evaluation.world_model.teacher_forced import teacher_force
from rwmu_train.evaluation.world_model.uncertainty_ranking import (
    UncertaintyRanking,
    rank_uncertainty,
    step_index_baseline,
)
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.world_model.checkpoint import WorldModelFacts
from rwmu_train.world_model.ensemble import WorldModel

MOST_WINDOWS = 2000
NAMED_STEPS = (1, 8, 32, 100)
HOLD_LAST, LINEAR = "hold-last", "linear"
FEW_EPISODES = 10


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
    """`std_sum` and `variance`."""
    step_index: UncertaintyRanking
    """What the number of the step alone would reach."""
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


def judge_world_model(
    model: WorldModel,
    facts: WorldModelFacts,
    dataset: TransitionDataset,
    settings: JudgementSettings,
    off_data: Mapping[str, TransitionDataset] | None = None,
) -> Judgement:
    """Measure everything.

    Memory: the data, and about ten arrays of windows x horizon x state size in float32.

    Args:
        model: The world model.
        facts: Of the model.
        dataset: Data to judge it on.
        settings: What is measured.
        off_data: Sets of another kind, by name.

    Raises:
        TransitionFileError: No episode is long enough.
        ConfigError: Held-out episodes can't be told.
    """
    episodes = choose_episodes(dataset, facts, settings.split, settings.seed)
    windows, fitted = _windows(episodes, facts, settings)
    steps = (*(s for s in NAMED_STEPS if s < windows.horizon), windows.horizon)
    blocks = dataset.columns.state_blocks
    linear = fit_linear(episodes.baseline, facts.normaliser).forecast(windows)
    off = dict(off_data or {})
    forced = teacher_force(
        model, episodes.judged, facts.normaliser, facts.history, seed=settings.seed
    )
    return Judgement(
        facts=facts,
        settings=settings,
        episodes=episodes,
        windows=windows,
        fitted_windows=fitted,
        steps=steps,
        followed={
            followed: _judge_followed(
                model, facts, episodes, windows, fitted, steps, followed, settings, off
            )
            for followed in FOLLOWED
        },
        baselines={
            HOLD_LAST: error_curves(hold_last(windows), windows.target, blocks),
            LINEAR: error_curves(linear, windows.target, blocks),
        },
        contacts=contact_scores(forced, dataset.spec.contact_names),
        falls=fall_score(forced),
        notes=_notes(episodes, facts, settings, windows, off),
    )


def _windows(
    episodes: JudgedEpisodes, facts: WorldModelFacts, settings: JudgementSettings
) -> tuple[ForecastWindows, int]:
    """Windows of two halves of the episodes side by side, and how many are of the first."""
    second, first = episodes.judged.split(0.5, settings.seed)
    horizon = longest_horizon((first, second), facts.history, settings.horizon)
    left, right = (
        draw_windows(
            half,
            facts.normaliser,
            history=facts.history,
            horizon=horizon,
            count=count,
            seed=settings.seed,
        )
        for half, count in (
            (first, settings.windows // 2),
            (second, settings.windows - settings.windows // 2),
        )
    )
    return side_by_side(left, right), left.count


def _judge_followed(
    model: WorldModel,
    facts: WorldModelFacts,
    episodes: JudgedEpisodes,
    windows: ForecastWindows,
    fitted: int,
    steps: tuple[int, ...],
    followed: Followed,
    settings: JudgementSettings,
    off_data: Mapping[str, TransitionDataset],
) -> FollowedScore:
    rollout, target = roll_out(model, windows, followed), windows.target
    error = l1_error(rollout.prediction, target)
    calibration = fit_calibration(rollout.of_windows(slice(fitted)), target[:, :fitted])
    rest = rollout.of_windows(slice(fitted, None))
    rest_error = rest.prediction - target[:, fitted:]
    off = None
    if off_data:
        off = judge_off_data(
            model,
            episodes.judged,
            off_data,
            facts.normaliser,
            followed,
            history=facts.history,
            windows=settings.windows,
            seed=settings.seed,
        )
    return FollowedScore(
        rollout=rollout,
        error=error_curves(rollout.prediction, target, episodes.judged.columns.state_blocks),
        ranking={
            "std_sum": rank_uncertainty(rollout.std_sum, error, steps),
            "variance": rank_uncertainty(rollout.variance, error, steps),
        },
        step_index=step_index_baseline(error),
        calibration=calibration,
        coverage_before=_coverage(rest_error, rest.disagreement, steps),
        coverage_after=_coverage(rest_error, calibration.sigma(rest.disagreement), steps),
        noise=error_under_noise(model, windows, followed, seed=settings.seed),
        off_data=off,
    )


def _coverage(
    error: np.ndarray, sigma: np.ndarray, steps: tuple[int, ...]
) -> dict[int, CoverageScore]:
    one, two = coverage(error, sigma, 1.0), coverage(error, sigma, 2.0)
    return {step: CoverageScore(float(one[step - 1]), float(two[step - 1])) for step in steps}


def _notes(
    episodes: JudgedEpisodes,
    facts: WorldModelFacts,
    settings: JudgementSettings,
    windows: ForecastWindows,
    off_data: Mapping[str, TransitionDataset],
) -> tuple[str, ...]:
    notes = []
    if windows.horizon < settings.horizon:
        notes.append(
            f"horizon {windows.horizon} instead of {settings.horizon}: no longer episode is held "
            "out on both sides of the calibration"
        )
    if windows.count < settings.windows:
        notes.append(
            f"{windows.count} windows instead of {settings.windows}: there are no more of this "
            "length; a shorter --horizon has more"
        )
    if windows.episodes < FEW_EPISODES:
        notes.append(f"windows of only {windows.episodes} episodes overlap: trust figures less")
    if episodes.unseen is not True:
        notes.append("not all judged episodes are known to be unseen: errors may be too small")
    for name, dataset in off_data.items():
        if set(dataset.file_sha256) & set(facts.data_sha256):
            notes.append(f"off-data set {name} has files that the model was trained on")
    return tuple(notes)


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
