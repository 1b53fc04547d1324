"""The parts of a data set that a world model learns from and is judged on, and their limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_train.transitions.channel_checks import check_dead_channels
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.windows import window_starts
from rwmu_train.world_model.settings import WorldModelSettings


def divide(
    dataset: TransitionDataset, settings: WorldModelSettings, seed: int
) -> tuple[TransitionDataset, TransitionDataset]:
    """Training and held-out part, each with at least one window.

    Raises:
        TransitionFileError: A part has none.
    """
    train, validation = dataset.split(settings.validation_share, seed)
    training_starts(train, settings)
    held_out_starts(validation, settings)
    return train, validation


def training_starts(train: TransitionDataset, settings: WorldModelSettings) -> NDArray[np.int64]:
    """Rows at which a training sequence can start.

    Raises:
        TransitionFileError: There are none.
    """
    starts = window_starts(train, settings.sequence_rows)
    if len(starts) == 0:
        raise TransitionFileError(
            f"no episode has the {settings.sequence_rows} rows of a training sequence; the "
            f"longest has {train.episode_length.max()}",
            fix="Record longer episodes, or lower history, forecast or branches.",
        )
    return starts


def held_out_starts(
    validation: TransitionDataset, settings: WorldModelSettings
) -> NDArray[np.int64]:
    """Rows at which a held-out window can start.

    Raises:
        TransitionFileError: There are none.
    """
    rows = settings.history + settings.forecast
    starts = window_starts(validation, rows)
    if len(starts) == 0:
        raise TransitionFileError(
            f"no held-out episode has {rows} rows in a row; the longest has "
            f"{validation.episode_length.max()}",
            fix="Record longer episodes or more of them.",
        )
    return starts


def data_notes(
    dataset: TransitionDataset, settings: WorldModelSettings, seed: int
) -> tuple[str, ...]:
    """Channels that never change, and no falls in the part of the data that is trained on."""
    with np.errstate(over="ignore", invalid="ignore"):
        dead = check_dead_channels(dataset)
    notes = [*dead.problems, *dead.notes]
    train, _ = divide(dataset, settings, seed)
    if not _falls(train):
        held_out = _falls(dataset)
        where = f"training data ({held_out} in held-out episodes)" if held_out else "data"
        notes.append(f"no falls in the {where}: the termination head has learned nothing")
    return tuple(notes)


def _falls(dataset: TransitionDataset) -> int:
    return int((dataset.terminations[dataset.member_rows()] > 0.0).sum())
