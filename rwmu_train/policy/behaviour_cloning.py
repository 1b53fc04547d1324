"""Warm start: imitate the better part of the logged behaviour.

The data say what was commanded at every row (sidecar). Where they don't, the velocity that was
then reached stands in for the command (hindsight).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from rsl_rl.models import MLPModel
from torch import Tensor

from rwmu_deploy.contract.errors import ConfigError, TransitionFileError
from rwmu_train.environment.observation_torch import build_observation
from rwmu_train.task.reward_terms import TRACKING_VARIANCE
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.source_mix import by_shares, source_of_rows
from rwmu_train.transitions.windows import window_starts

_SHARES_SEED = 0


@dataclass(frozen=True)
class CloningSettings:
    """How behaviour is imitated."""

    steps: int = 3000
    """Gradient steps."""
    batch_size: int = 1024
    learning_rate: float = 1.0e-3
    best_share: float = 0.4
    """Share of the rows that is imitated, of each source of a mix: those after which commands were
    followed best."""
    least_rows: int = 8000
    """So many rows are imitated however small that share: of few rows, the best are too few to
    learn from."""
    best_of: Literal["rows", "episodes"] = "rows"
    """What is compared. Among rows, those just after a new command lose, though what a good policy
    does there is what keeps it from falling; among episodes they stay."""
    horizon_rows: int = 50
    """Rows ahead over which following is judged, and hindsight commands are averaged."""
    trust_region_weight: float = 0.0
    """Weight in PPO's loss of the divergence from the clone on the data; 0: PPO is free."""

    def __post_init__(self) -> None:
        # Not "below 0": a weight that is not a number must not set PPO free in silence.
        if not 0.0 <= self.trust_region_weight < np.inf:
            raise ConfigError(
                f"trust_region_weight is {self.trust_region_weight}; allowed is 0 up",
                fix="Use 0.3, or 0 to leave PPO free.",
            )


@dataclass(frozen=True)
class Demonstrations:
    """Observations and the actions that followed. n rows."""

    observation: Tensor
    """Without noise, shape (n, O)."""
    action: Tensor
    """Shape (n, A)."""


def choose_demonstrations(dataset: TransitionDataset, settings: CloningSettings) -> Demonstrations:
    """The rows after which commands were followed best, in the shares of the data's mix.

    Raises:
        TransitionFileError: No episode is longer than the horizon.
    """
    horizon = settings.horizon_rows
    row = window_starts(dataset, horizon + 1)
    if len(row) == 0:
        raise TransitionFileError(
            f"no episode has {horizon + 1} rows to imitate",
            fix="Record longer episodes, or judge fewer rows ahead: cloning.horizon_rows.",
        )
    columns = dataset.columns
    velocity = np.concatenate(
        [
            dataset.states[:, columns.base_linear_velocity_mps.slice][:, :2],
            dataset.states[:, columns.base_angular_velocity_radps.slice][:, 2:],
        ],
        axis=1,
    )
    reached = _mean_ahead(velocity, row, horizon)
    command = dataset.velocity_command
    known = np.isfinite(command[row]).all(axis=1)
    asked = np.where(np.expand_dims(known, 1), command[row], reached).astype(np.float32)
    # A row whose command changes within the horizon is judged against each row's own command.
    error = np.square(velocity - np.nan_to_num(command))
    kernel = np.exp(-(error[:, 0] + error[:, 1]) / TRACKING_VARIANCE)
    kernel += 0.5 * np.exp(-error[:, 2] / TRACKING_VARIANCE)
    score = _mean_ahead(kernel[:, None], row, horizon)[:, 0]
    gravity = dataset.states[:, columns.projected_gravity.slice]
    score -= 5.0 * _mean_ahead(np.square(gravity[:, :2]).sum(1, keepdims=True), row, horizon)[:, 0]
    if settings.best_of == "episodes":
        score = _mean_of_episode(dataset, row, score)
    share = min(1.0, max(settings.best_share, settings.least_rows / len(row)))
    best = np.zeros(len(row), dtype=bool)
    source = source_of_rows(dataset, row) if dataset.mix else np.zeros(len(row))
    for name in np.unique(source):
        here = source == name
        best[here] = score[here] >= np.quantile(score[here], 1.0 - share)
    best &= np.isin(row, by_shares(dataset, row[best], np.random.default_rng(_SHARES_SEED)))
    chosen, asked = row[best], asked[best]
    return Demonstrations(
        observation=build_observation(
            columns,
            torch.from_numpy(dataset.states[chosen]),
            torch.from_numpy(asked),
            torch.from_numpy(dataset.actions[chosen]),
        ),
        action=torch.from_numpy(dataset.actions[chosen + 1]),
    )


def clone_behaviour(
    actor: MLPModel,
    demonstrations: Demonstrations,
    view: Callable[[Tensor, torch.Generator], Tensor],
    settings: CloningSettings,
    *,
    seed: int,
    on_step: Callable[[int, float], None] | None = None,
) -> float:
    """Fit the actor's mean to the demonstrations, as the actor sees them in training.

    Returns:
        Root mean square error of the action over the last tenth of the steps.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(actor.mlp.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    last: list[float] = []
    for step in range(settings.steps):
        index = torch.randint(
            len(demonstrations.action), (settings.batch_size,), generator=generator
        )
        seen = view(demonstrations.observation[index], generator)
        predicted = actor.mlp(actor.obs_normalizer(seen))
        loss = (predicted - demonstrations.action[index]).square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        if step >= 0.9 * settings.steps:
            last.append(float(loss.detach()))
        if on_step is not None:
            on_step(step + 1, float(loss.detach()))
    return float(np.sqrt(np.mean(last)))


def _mean_of_episode(
    dataset: TransitionDataset, row: NDArray[np.int64], score: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Each row's score replaced by the mean over its episode's rows, shape (n,)."""
    episode = np.searchsorted(dataset.episode_start, row, side="right") - 1
    total, count = np.bincount(episode, score), np.bincount(episode)
    return (total / np.maximum(count, 1))[episode]


def _mean_ahead(
    values: NDArray[np.floating], row: NDArray[np.int64], horizon: int
) -> NDArray[np.float64]:
    """Mean of `values` (N, D) over the `horizon` rows after each of `row` (n,), shape (n, D)."""
    total = np.concatenate(
        [np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=float)]
    )
    return (total[row + 1 + horizon] - total[row + 1]) / horizon
