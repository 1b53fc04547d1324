"""Measure everything about a world model, in one go. H steps, W windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_train.evaluation.world_model.calibration import coverage, fit_calibration
from rwmu_train.evaluation.world_model.contact_and_fall_scores import contact_scores, fall_score
from rwmu_train.evaluation.world_model.forecast_windows import (
    ForecastWindows,
    draw_windows,
    longest_horizon,
    side_by_side,
)
from rwmu_train.evaluation.world_model.judged_episodes import JudgedEpisodes, choose_episodes
from rwmu_train.evaluation.world_model.judgement import (
    CALIBRATED,
    HOLD_LAST,
    LINEAR,
    CoverageScore,
    FollowedScore,
    Judgement,
    JudgementSettings,
)
from rwmu_train.evaluation.world_model.linear_baseline import fit_linear
from rwmu_train.evaluation.world_model.noise_robustness import error_under_noise
from rwmu_train.evaluation.world_model.off_data import judge_off_data
from rwmu_train.evaluation.world_model.prediction_error import (
    ErrorCurve,
    error_curves,
    l1_error,
)
from rwmu_train.evaluation.world_model.rollout import FOLLOWED, Followed, hold_last, roll_out
from rwmu_train.evaluation.world_model.teacher_forced import teacher_force
from rwmu_train.evaluation.world_model.uncertainty_ranking import (
    rank_uncertainty,
    step_index_baseline,
)
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.world_model.checkpoint import WorldModelFacts
from rwmu_train.world_model.ensemble import WorldModel

NAMED_STEPS = (1, 8, 32, 100)
FEW_EPISODES = 10


@dataclass(frozen=True)
class _Case:
    """A model, and the windows that it is judged on."""

    model: WorldModel
    facts: WorldModelFacts
    settings: JudgementSettings
    episodes: JudgedEpisodes
    windows: ForecastWindows
    fitted_windows: int
    off_data: Mapping[str, TransitionDataset]

    @property
    def steps(self) -> tuple[int, ...]:
        horizon = self.windows.horizon
        return (*(step for step in NAMED_STEPS if step < horizon), horizon)


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
    case = _Case(model, facts, settings, episodes, windows, fitted, off_data or {})
    forced = teacher_force(
        model, episodes.judged, facts.normaliser, facts.history, seed=settings.seed
    )
    return Judgement(
        facts=facts,
        settings=settings,
        episodes=episodes,
        windows=windows,
        fitted_windows=fitted,
        steps=case.steps,
        followed={followed: _judge_followed(case, followed) for followed in FOLLOWED},
        baselines=_baselines(case),
        contacts=contact_scores(forced, dataset.spec.contact_names),
        falls=fall_score(forced),
        notes=_notes(case),
    )


def _baselines(case: _Case) -> dict[str, dict[str, ErrorCurve]]:
    windows, blocks = case.windows, case.episodes.judged.columns.state_blocks
    linear = fit_linear(case.episodes.baseline, case.facts.normaliser).forecast(windows)
    return {
        HOLD_LAST: error_curves(hold_last(windows), windows.target, blocks),
        LINEAR: error_curves(linear, windows.target, blocks),
    }


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


def _judge_followed(case: _Case, followed: Followed) -> FollowedScore:
    target, fitted, steps = case.windows.target, case.fitted_windows, case.steps
    rollout = roll_out(case.model, case.windows, followed)
    calibration = fit_calibration(rollout.of_windows(slice(fitted)), target[:, :fitted])
    rest = rollout.of_windows(slice(fitted, None))
    rest_target = target[:, fitted:]
    rest_error = rest.prediction - rest_target
    rest_l1 = l1_error(rest.prediction, rest_target)
    sigma = calibration.sigma(rest.disagreement)
    off = None
    if case.off_data:
        off = judge_off_data(
            case.model,
            case.episodes.judged,
            case.off_data,
            case.facts.normaliser,
            followed,
            history=case.facts.history,
            windows=case.settings.windows,
            seed=case.settings.seed,
        )
    return FollowedScore(
        rollout=rollout,
        error=error_curves(rollout.prediction, target, case.episodes.judged.columns.state_blocks),
        ranking={
            "std_sum": rank_uncertainty(rest.std_sum, rest_l1, steps),
            "variance": rank_uncertainty(rest.variance, rest_l1, steps),
            CALIBRATED: rank_uncertainty(sigma.sum(axis=-1), rest_l1, steps),
        },
        step_index=step_index_baseline(rest_l1),
        calibration=calibration,
        coverage_before=_coverage(rest_error, rest.disagreement, steps),
        coverage_after=_coverage(rest_error, sigma, steps),
        noise=error_under_noise(case.model, case.windows, followed, seed=case.settings.seed),
        off_data=off,
    )


def _coverage(
    error: NDArray[np.floating], sigma: NDArray[np.floating], steps: tuple[int, ...]
) -> dict[int, CoverageScore]:
    one, two = coverage(error, sigma, 1.0), coverage(error, sigma, 2.0)
    return {step: CoverageScore(float(one[step - 1]), float(two[step - 1])) for step in steps}


def _notes(case: _Case) -> tuple[str, ...]:
    windows, settings = case.windows, case.settings
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
    if case.episodes.unseen is not True:
        notes.append("not all judged episodes are known to be unseen: errors may be too small")
    notes += [
        f"off-data set {name} has files that the model was trained on"
        for name, dataset in case.off_data.items()
        if set(dataset.file_sha256) & set(case.facts.data_sha256)
    ]
    return tuple(notes)
