"""The windows that a training is judged on as it goes, always the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.world_model.ensemble import WorldModel
from rwmu_train.world_model.failed_step import not_finite
from rwmu_train.world_model.held_out import evaluate_in_float32
from rwmu_train.world_model.sequence_sampler import sequence_batch
from rwmu_train.world_model.settings import WorldModelSettings
from rwmu_train.world_model.training_data import held_out_starts

HELD_OUT_WINDOWS = 1000


class HeldOutWindows:
    """Up to HELD_OUT_WINDOWS windows of the held-out episodes, always the same."""

    def __init__(
        self,
        validation: TransitionDataset,
        normaliser: StateNormaliser,
        settings: WorldModelSettings,
        seed: int,
    ) -> None:
        starts = held_out_starts(validation, settings)
        rng = np.random.default_rng(seed)
        chosen = rng.choice(starts, min(HELD_OUT_WINDOWS, len(starts)), replace=False)
        self._history, self._rows = settings.history, settings.history + settings.forecast
        self._validation, self._normaliser = validation, normaliser
        self._starts = np.sort(chosen)
        self._windows = sequence_batch(validation, normaliser, self._starts, self._rows)

    def scores(self, model: WorldModel, iteration: int) -> dict[str, Any]:
        """Scores of `evaluate`.

        Raises:
            ConfigError: The error that models are chosen by is not finite.
        """
        scores = evaluate_in_float32(model, self._windows, self._history)
        error = scores["error_by_step"][-1]
        if not math.isfinite(error):
            raise not_finite(
                f"the held-out error is {error} at iteration {iteration}",
                self._validation,
                self._normaliser,
                self._starts,
                self._rows,
            )
        return scores
