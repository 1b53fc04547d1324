"""Which part of the work a process does, when several processes train together.

W processes, G groups of sequences (one for each member, or a single one), n sequences of a group.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rwmu_deploy.contract.errors import ConfigError


@dataclass(frozen=True)
class BatchShare:
    """Process `rank` of W learns from an equal, consecutive part of every group of sequences.

    Parts are equal, so the mean over processes of a mean over sequences is the mean over the
    batch, and so is the gradient.
    """

    rank: int = 0
    processes: int = 1
    """W."""

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and reports progress."""
        return self.rank == 0

    def device(self, named: str) -> str:
        """Where this process computes: each on a GPU of its own where `cuda` is named."""
        return f"cuda:{self.rank}" if named == "cuda" else named

    def own_count(self, whole: int, what: str) -> int:
        """How many of `whole` things are this process's.

        Raises:
            ConfigError: They can't be divided evenly.
        """
        if whole % self.processes:
            raise ConfigError(
                f"{whole} {what} can't be divided among {self.processes} processes; allowed are "
                f"multiples of {self.processes}",
                fix=f"Use {-(-whole // self.processes) * self.processes} {what}.",
            )
        return whole // self.processes

    def own_seed(self, seed: int) -> int:
        """A seed of what must differ between processes; that of the first is `seed` itself."""
        return seed + 15_485_863 * self.rank

    def own_threads(self) -> int:
        """Processors for this process, where each takes as many."""
        return max(1, (os.cpu_count() or 1) // self.processes)

    def of_starts(self, starts: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
        """Own ones of a whole batch's window starts, shape (G * n * W,) to (G * n,)."""
        by_process = starts.reshape(groups, self.processes, -1)
        return by_process[:, self.rank].reshape(-1)

    def of_draws(self, whole: Tensor, dim: int) -> Tensor:
        """Own part of what was drawn for the batch; `dim` has n * W entries, n remain."""
        own = whole.shape[dim] // self.processes
        return whole.narrow(dim, self.rank * own, own)


ALONE = BatchShare()
"""Of a process that trains by itself."""


class BatchDraws:
    """Random numbers of one gradient step.

    Every process draws those of the whole batch and keeps its share, so that the number of
    processes changes no result.

    Args:
        generator: In the same state in every process.
        share: Of this process.
        sequences: n, the sequences of a group in this process.
    """

    def __init__(self, generator: torch.Generator, share: BatchShare, sequences: int) -> None:
        self._generator, self._share, self._sequences = generator, share, sequences

    def normal_like(self, values: Tensor) -> Tensor:
        """Standard normal noise for values of shape (X, Y * n, S), sequences innermost."""
        outer, middle, size = values.shape
        n = self._sequences
        whole = torch.empty(outer, middle // n, n * self._share.processes, size)
        whole.normal_(generator=self._generator)
        return self._share.of_draws(whole, 2).reshape(values.shape).to(values)

    def normal_like_sequences(self, values: Tensor) -> Tensor:
        """Standard normal noise for values of shape (T, G * n, S).

        Drawn in the order in which windows lie in memory, sequence by sequence.
        """
        steps, own, size = values.shape
        groups = own // self._sequences
        whole = torch.empty(own * self._share.processes, steps, size).transpose(0, 1)
        whole.normal_(generator=self._generator)
        by_group = whole.unflatten(1, (groups, -1))
        return self._share.of_draws(by_group, 2).flatten(1, 2).to(values)

    def poisson_weights(self, members: int) -> Tensor:
        """Poisson(1) for each member and sequence, shape (E, 1, n)."""
        rate = torch.ones(members, 1, self._sequences * self._share.processes)
        return self._share.of_draws(torch.poisson(rate, generator=self._generator), 2)

    def resample_weights(self, members: int) -> Tensor:
        """How often each member drew a sequence of the batch with replacement, shape (E, 1, n).

        A member's weights over the whole batch are whole numbers that add up to its size.
        """
        batch = self._sequences * self._share.processes
        drawn = torch.randint(batch, (members, batch), generator=self._generator)
        counts = torch.zeros(members, batch).scatter_add_(1, drawn, torch.ones(members, batch))
        return self._share.of_draws(counts.unsqueeze(1), 2)
