"""Windows to forecast: a history from data, then the states that came after it.

L rows of a window (history + horizon H), W windows, S state size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.transitions.windows import window_starts
from rwmu_train.world_model.multi_step_loss import SequenceBatch
from rwmu_train.world_model.sequence_sampler import sequence_batch


@dataclass(frozen=True)
class ForecastWindows:
    """Windows of one length."""

    batch: SequenceBatch
    """L rows of W windows, states normalised."""
    history: int
    """Rows known when the forecast begins."""
    episodes: int
    """Different episodes that they come from."""

    @property
    def horizon(self) -> int:
        return len(self.batch.state) - self.history

    @property
    def count(self) -> int:
        return self.batch.state.shape[1]

    @property
    def target(self) -> NDArray[np.float32]:
        """What is to be forecast, normalised, shape (H, W, S)."""
        return self.batch.state[self.history :].numpy()


def longest_horizon(parts: Sequence[TransitionDataset], history: int, wanted: int) -> int:
    """Steps that can be forecast in every part, up to `wanted`.

    Raises:
        TransitionFileError: A part has no episode with a row after the history.
    """
    longest = min(int(part.episode_length.max()) for part in parts)
    if longest <= history:
        raise TransitionFileError(
            f"no held-out episode is long enough: the longest that both halves have is of "
            f"{longest} rows; needed are {history} rows of history and one more",
            fix="Give more or longer episodes.",
        )
    return min(wanted, longest - history)


def draw_windows(
    dataset: TransitionDataset,
    normaliser: StateNormaliser,
    *,
    history: int,
    horizon: int,
    count: int,
    seed: int,
) -> ForecastWindows:
    """Different windows at random, `count` of them or as many as there are.

    Raises:
        TransitionFileError: No episode is long enough.
    """
    rows = history + horizon
    starts = window_starts(dataset, rows)
    if len(starts) == 0:
        raise TransitionFileError(
            f"no episode of {dataset.files[0].path.parent} has {rows} rows ({history} of history, "
            f"{horizon} to forecast)",
            fix="Record longer episodes.",
        )
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(starts, min(count, len(starts)), replace=False))
    episode = np.searchsorted(dataset.episode_start, chosen, side="right")
    batch = sequence_batch(dataset, normaliser, chosen, rows)
    return ForecastWindows(batch, history, len(np.unique(episode)))


def side_by_side(left: ForecastWindows, right: ForecastWindows) -> ForecastWindows:
    """Windows of one length from different episodes, those of `left` first."""
    batch = SequenceBatch(
        **{
            name: torch.cat([value, getattr(right.batch, name)], dim=1)
            for name, value in vars(left.batch).items()
        }
    )
    return ForecastWindows(batch, left.history, left.episodes + right.episodes)
