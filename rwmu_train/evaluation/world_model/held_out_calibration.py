"""Calibrate a world model that was just trained, on the episodes that training held out."""

from __future__ import annotations

from rwmu_train.evaluation.world_model.calibration import Calibration, fit_calibration
from rwmu_train.evaluation.world_model.forecast_windows import draw_windows, longest_horizon
from rwmu_train.evaluation.world_model.judged_episodes import choose_episodes
from rwmu_train.evaluation.world_model.judgement import JudgementSettings
from rwmu_train.evaluation.world_model.rollout import FOLLOWED, Followed, roll_out
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.world_model.checkpoint import WorldModelFacts
from rwmu_train.world_model.ensemble import WorldModel


def calibrate_on_held_out(
    model: WorldModel,
    facts: WorldModelFacts,
    dataset: TransitionDataset,
    settings: JudgementSettings | None = None,
) -> dict[Followed, Calibration]:
    """Fit a calibration for each way of feeding back, on all held-out episodes.

    `rwmu-eval world-model` fits on half of them and reports the coverage on the others.

    Args:
        model: The world model.
        facts: Of the model.
        dataset: The data of its training.
        settings: Horizon, number of windows and seed; the horizon shrinks where episodes are
            shorter.

    Raises:
        TransitionFileError: No held-out episode has a row after the history.
    """
    settings = settings or JudgementSettings()
    judged = choose_episodes(dataset, facts, "held-out", settings.seed).judged
    windows = draw_windows(
        judged,
        facts.normaliser,
        history=facts.history,
        horizon=longest_horizon((judged,), facts.history, settings.horizon),
        count=settings.windows,
        seed=settings.seed,
    )
    return {
        followed: fit_calibration(roll_out(model, windows, followed), windows.target)
        for followed in FOLLOWED
    }
