"""Contacts and falls as the model says them one step ahead of true states.

R judged rows, K contacts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.world_model.ensemble import WorldModel

MOST_ROWS = 100_000
_PIECE_ROWS = 200
_PIECES_AT_ONCE = 64


@dataclass(frozen=True)
class TeacherForced:
    """What the model said of rows, ascending, and what they were."""

    contact_probability: NDArray[np.float32]
    """Mean of the members' probabilities, shape (R, K)."""
    contact: NDArray[np.bool_]
    """Shape (R, K)."""
    fall_probability: NDArray[np.float32]
    """Mean of the members' probabilities, shape (R,)."""
    fell: NDArray[np.bool_]
    """Shape (R,)."""
    rows_available: int
    """Rows that have a whole history before them."""
    falls_without_history: int
    """Falls so early in their episode that they can't be judged."""


def teacher_force(
    model: WorldModel,
    dataset: TransitionDataset,
    normaliser: StateNormaliser,
    history: int,
    *,
    seed: int,
    most_rows: int = MOST_ROWS,
) -> TeacherForced:
    """Predict every row that has a whole history before it, from the true rows.

    Each piece of up to 200 rows follows a replayed history of its own. Where there are more than
    `most_rows`, pieces are drawn at random.

    Raises:
        TransitionFileError: No row has a whole history before it.
    """
    start, length = _pieces(dataset, history)
    if len(start) == 0:
        raise TransitionFileError(
            f"no episode has a row after the {history} rows of history",
            fix="Record longer episodes.",
        )
    available = int(length.sum())
    order = np.random.default_rng(seed).permutation(len(start))
    chosen = np.sort(order[np.cumsum(length[order]) - length[order] < most_rows])
    parts = [
        _judge(model, dataset, normaliser, history, start[some], length[some])
        for some in _batches(chosen)
    ]
    contact_probability, contact, fall_probability, fell = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    return TeacherForced(
        contact_probability,
        contact,
        fall_probability,
        fell,
        available,
        _falls_without_history(dataset, history),
    )


def _pieces(
    dataset: TransitionDataset, history: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First judged row and judged rows of each piece; none overlap."""
    begin, end = dataset.episode_start + history, dataset.episode_end
    ranges = zip(begin.tolist(), end.tolist(), strict=True)
    start = np.concatenate(
        [np.empty(0, np.int64), *(np.arange(b, e, _PIECE_ROWS) for b, e in ranges if b < e)]
    )
    episode = np.searchsorted(dataset.episode_start, start, side="right") - 1
    return start, np.minimum(start + _PIECE_ROWS, end[episode]) - start


def _batches(pieces: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for begin in range(0, len(pieces), _PIECES_AT_ONCE):
        yield pieces[begin : begin + _PIECES_AT_ONCE]


@torch.no_grad()
def _judge(
    model: WorldModel,
    dataset: TransitionDataset,
    normaliser: StateNormaliser,
    history: int,
    start: NDArray[np.int64],
    length: NDArray[np.int64],
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32], NDArray[np.bool_]]:
    columns = dataset.columns
    offset = np.arange(-history, length.max())
    # Past a piece's end its last row is repeated; nothing reads what follows from that.
    index = np.minimum(start[:, None] + offset, (start + length - 1)[:, None]).T
    rows = torch.from_numpy(dataset.rows[index])
    state = normaliser.normalise(rows[:-1, :, columns.state])
    inputs = torch.cat([state, rows[1:, :, columns.action.slice]], dim=-1)
    features = model.auxiliary_sequence(inputs)
    judged = torch.from_numpy(np.arange(length.max()) < length[:, None])
    own = features[:, history - 1 :].transpose(1, 2)[:, judged]
    truth = rows[history:].transpose(0, 1)[judged].numpy()
    contact, fall = model.contact_and_termination_logits(own)
    return (
        torch.sigmoid(contact).mean(dim=0).numpy(),
        truth[:, columns.contact.slice] > 0.5,
        torch.sigmoid(fall).mean(dim=0).numpy(),
        truth[:, columns.termination.slice][:, 0] > 0.5,
    )


def _falls_without_history(dataset: TransitionDataset, history: int) -> int:
    short = dataset.episode_length <= history
    last = dataset.terminations[dataset.episode_end[short] - 1]
    return int((last > 0.5).sum())
