"""Which rows of the data a policy imitates, with the commands that stood behind them.

The data say what was commanded at every row (sidecar). Where they don't, the velocity that was
then reached stands in for the command (hindsight). n = rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rwmu_deploy.contract.errors import ConfigError, TransitionFileError
from rwmu_train.environment.observation_torch import build_observation
from rwmu_train.task.reward_terms import TRACKING_VARIANCE
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.source_mix import by_shares, source_of_rows
from rwmu_train.transitions.windows import window_starts

_SHARES_SEED = 0

BestOf = Literal["rows", "episodes", "collectors"]
Answers = Literal["logged", "mean"]


@dataclass(frozen=True)
class CloningSettings:
    """How behaviour is imitated."""

    steps: int = 3000
    """Gradient steps."""
    batch_size: int = 1024
    learning_rate: float = 1.0e-3
    best_share: float = 0.4
    """Share of the rows that is imitated, of each source of a mix: those after which commands were
    followed best, upright."""
    least_rows: int = 8000
    """So many rows are imitated however small that share: of few rows, the best are too few to
    learn from."""
    best_of: BestOf = "rows"
    """What is compared. Among `rows`, stumbles lose, though what a good policy does there is what
    keeps it from falling; among `episodes` many of them do. `collectors` are who wrote the data,
    by their sidecars (a policy of a training run, a bundle on a robot). They are imitated whole,
    the newest of their run first, and of equally new ones the best first; at least `best_share`
    of them, however much each wrote."""
    answers: Answers = "logged"
    """What is imitated in the chosen rows: the actions that were `logged`, or the `mean` of what
    all their collectors would do there (`collectors_mean`), for policies of one training run."""
    horizon_rows: int = 50
    """Rows ahead over which following is judged, and hindsight commands are averaged."""
    trust_region_weight: float = 0.0
    """Weight in PPO's loss of the divergence from the clone on the data; 0: PPO is free."""

    def __post_init__(self) -> None:
        if not 0.0 < self.best_share <= 1.0:
            raise ConfigError(
                f"best_share is {self.best_share}; allowed is above 0, up to 1",
                fix="Use 0.25, or 1 to imitate all rows.",
            )
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
    collectors: tuple[str, ...] = ()
    """Who wrote them, where that is known."""
    collector: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    """Of each row the number of its collector, shape (n,); empty where that is not known."""


def choose_demonstrations(dataset: TransitionDataset, settings: CloningSettings) -> Demonstrations:
    """The best part of the data, in the shares of their mix.

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
    best = row[_is_best(dataset, row, settings)]
    chosen = by_shares(dataset, best, np.random.default_rng(_SHARES_SEED))
    file, file_of_row = np.unique(dataset.file_of_rows(chosen), return_inverse=True)
    who = [dataset.files[k].collector for k in file.tolist()]
    collectors = tuple(dict.fromkeys(who))
    return Demonstrations(
        observation=build_observation(
            dataset.columns,
            torch.from_numpy(dataset.states[chosen]),
            torch.from_numpy(_asked(dataset, chosen, horizon)),
            torch.from_numpy(dataset.actions[chosen]),
        ),
        action=torch.from_numpy(dataset.actions[chosen + 1]),
        collectors=collectors,
        collector=torch.from_numpy(
            np.array([collectors.index(name) for name in who])[file_of_row]
        ),
    )


def _asked(
    dataset: TransitionDataset, row: NDArray[np.int64], horizon: int
) -> NDArray[np.float32]:
    """The command of each row, or the velocity that was then reached, shape (n, 3)."""
    command = dataset.velocity_command[row]
    known = np.isfinite(command).all(axis=1, keepdims=True)
    reached = _mean_ahead(_velocity(dataset), row, horizon)
    return np.where(known, command, reached).astype(np.float32)


def _is_best(
    dataset: TransitionDataset, row: NDArray[np.int64], settings: CloningSettings
) -> NDArray[np.bool_]:
    """Which rows make up the best share of each source, shape (n,)."""
    score = _following(dataset, row, settings.horizon_rows)
    share = min(1.0, max(settings.best_share, settings.least_rows / len(row)))
    source = source_of_rows(dataset, row) if dataset.mix else np.zeros(len(row))
    if settings.best_of == "episodes":
        score = _mean_of_episode(dataset, row, score)
    best = np.zeros(len(row), dtype=bool)
    for name in np.unique(source):
        here = source == name
        if settings.best_of == "collectors":
            best[here] = _of_first_collectors(dataset, row[here], score[here], share)
        else:
            best[here] = score[here] >= np.quantile(score[here], 1.0 - share)
    return best


def _following(
    dataset: TransitionDataset, row: NDArray[np.int64], horizon: int
) -> NDArray[np.float64]:
    """How well commands are followed, upright, over the rows ahead, shape (n,).

    A row whose command changes within the horizon is judged against each row's own command; where
    no command is known, being upright is all that counts.
    """
    error = np.square(np.nan_to_num(_velocity(dataset) - dataset.velocity_command))
    kernel = np.exp(-(error[:, 0] + error[:, 1]) / TRACKING_VARIANCE)
    kernel += 0.5 * np.exp(-error[:, 2] / TRACKING_VARIANCE)
    gravity = dataset.states[:, dataset.columns.projected_gravity.slice]
    kernel -= 5.0 * np.square(gravity[:, :2]).sum(1)
    return _mean_ahead(kernel[:, None], row, horizon)[:, 0]


def _velocity(dataset: TransitionDataset) -> NDArray[np.float32]:
    """What commands ask for, of every row: vx [m/s], vy [m/s], wz [rad/s], shape (N, 3)."""
    columns = dataset.columns
    linear = dataset.states[:, columns.base_linear_velocity_mps.slice]
    angular = dataset.states[:, columns.base_angular_velocity_radps.slice]
    return np.concatenate([linear[:, :2], angular[:, 2:]], axis=1)


def _of_first_collectors(
    dataset: TransitionDataset,
    row: NDArray[np.int64],
    score: NDArray[np.float64],
    share: float,
) -> NDArray[np.bool_]:
    """All rows of the newest, and of equally new ones the best, shape (n,).

    So many that they are `share` of the collectors and have `share` of the rows: one that wrote
    much leaves the others their say. How well policies of one run do under noise hardly tells
    them apart in so few rows; that the later ones saw more training does.
    """
    _, number = np.unique([file.collector for file in dataset.files], return_inverse=True)
    generation = np.full(number.max() + 1, -np.inf)
    np.maximum.at(generation, number, [file.generation for file in dataset.files])
    collector = number[dataset.file_of_rows(row)]
    total, count = np.bincount(collector, score), np.bincount(collector)
    present = np.flatnonzero(count)
    mean = total[present] / count[present]
    order = present[np.lexsort((-mean, -generation[present]))]
    before = np.cumsum(count[order]) - count[order]
    taken = (before < share * len(row)) | (np.arange(len(order)) + 1 <= share * len(order))
    return np.isin(collector, order[taken])


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
