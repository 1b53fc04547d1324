"""Starting points for imagined episodes: real states with the memory that their history leaves.

Every imagined episode begins with the M rows of history that training had, also after a reset.
(The released code feeds one row after a reset, and the recurrent state is lost.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from rwmu_deploy.contract.errors import TransitionFileError
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.transitions.source_mix import StartDraw
from rwmu_train.transitions.windows import gather, window_starts
from rwmu_train.world_model.ensemble import Memory, WorldModel

USES = 4
"""Times that an encoded history begins an episode, each time under other commands. Encoding costs
32 steps of the model, an episode at most some 256."""
ROWS_BEFORE_A_FALL = 10
"""Starts this close before a fall are left out: nothing can be learned from them but falling."""
NEAR_FALL_ROWS = 80
"""Starts this close before a fall are near it: the robot stumbles, and may still be saved."""


@dataclass(frozen=True)
class StartingPoint:
    """P imagined robots about to take their first imagined step."""

    state: Tensor
    """Normalised, shape (P, S)."""
    last_action: Tensor
    """The action that produced `state`, shape (P, A)."""
    memory: Memory
    """Before the input of the first imagined step."""

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of it, always in the same order."""
        return (self.state, self.last_action, *self.memory.tensors)

    def at(self, index: Tensor) -> StartingPoint:
        """Some of the robots."""
        return StartingPoint(
            self.state[index],
            self.last_action[index],
            self.memory.at(index),
        )


class WarmStarts:
    """Draws starting points from data, encoding them many at a time.

    Args:
        model: The world model.
        dataset: Where histories come from.
        normaliser: Of the model.
        history: M, rows of history.
        batch: Histories encoded at once.
        near_fall_share: Share of starts near a fall; 0: as many as the data hold.
        seed: Seed of the draw.

    Raises:
        TransitionFileError: No episode has M rows that don't end in a fall.
    """

    def __init__(
        self,
        model: WorldModel,
        dataset: TransitionDataset,
        normaliser: StateNormaliser,
        history: int,
        *,
        batch: int,
        seed: int,
        near_fall_share: float = 0.0,
        device: str = "cpu",
    ) -> None:
        self._model, self._dataset, self._normaliser = model, dataset, normaliser
        self._history, self._batch, self._device = history, batch, device
        self._rng = np.random.default_rng(seed)
        starts = window_starts(dataset, history)
        last = starts + history - 1
        possible = ~_falls_within(dataset, last, ROWS_BEFORE_A_FALL)
        self._starts = starts[possible]
        if len(self._starts) == 0:
            raise TransitionFileError(
                f"no episode has {history} rows of history that don't end in a fall",
                fix="Record longer episodes.",
            )
        self._draw_starts = StartDraw(dataset, self._starts)
        near = starts[possible & _falls_within(dataset, last, NEAR_FALL_ROWS)]
        # Falls are where they are: not every source of a mix has some.
        anywhere = replace(dataset, mix=None)
        self._draw_near_fall = StartDraw(anywhere, near) if len(near) else self._draw_starts
        self._near_fall_share = near_fall_share
        self._pool: StartingPoint | None = None
        self._left: list[Tensor] = []
        """What is still to be drawn from the pool: an order of all of it for each use."""
        self._used = 0

    def draw(self, count: int) -> StartingPoint:
        """The next `count` starting points; each encoded history is used `USES` times."""
        if self._left and self._used + count > len(self._left[0]):
            self._left, self._used = self._left[1:], 0
        if self._pool is None or not self._left or count > len(self._left[0]):
            self._pool = self.fresh(max(self._batch, count))
            self._left, self._used = self.orders(len(self._pool.state)), 0
        index = self._left[0][self._used : self._used + count]
        self._used += count
        return self._pool.at(index)

    def fresh(self, count: int) -> StartingPoint:
        """`count` histories, drawn and encoded."""
        return self.encode(self._rows(count))

    def _rows(self, count: int) -> np.ndarray:
        """Rows at which histories begin, in random order."""
        near = self._rng.binomial(count, self._near_fall_share) if self._near_fall_share else 0
        parts = [self._draw_starts(self._rng, count - near)]
        if near:
            parts.append(self._draw_near_fall(self._rng, near))
            return self._rng.permutation(np.concatenate(parts))
        return parts[0]

    def orders(self, count: int) -> list[Tensor]:
        """In which `count` encoded histories begin episodes, an order for each of `USES`."""
        later = [self._rng.permutation(count) for _ in range(USES - 1)]
        return [torch.from_numpy(order).to(self._device) for order in (np.arange(count), *later)]

    @torch.no_grad()
    def encode(self, starts: np.ndarray) -> StartingPoint:
        """Replay the histories that begin at rows `starts` (P,)."""
        columns = self._dataset.columns
        rows = torch.from_numpy(gather(self._dataset, starts, self._history))
        window = rows.to(self._device).transpose(0, 1)
        state = self._normaliser.normalise(window[..., columns.state])
        action = window[..., columns.action.slice]
        inputs = torch.cat([state[:-1], action[1:]], dim=-1)
        return StartingPoint(
            state=state[-1].clone(),
            last_action=action[-1].clone(),
            memory=self._model.replay(inputs),
        )


def _falls_within(dataset: TransitionDataset, row: np.ndarray, rows: int) -> np.ndarray:
    """Whether an episode ends in a fall fewer than `rows` after `row` (P,), shape (P,)."""
    episode = np.searchsorted(dataset.episode_start, row, side="right") - 1
    left = dataset.episode_end[episode] - 1 - row
    fell = np.array([kind == "terminated" for kind in dataset.episode_end_kind])
    return fell[episode] & (left < rows)
