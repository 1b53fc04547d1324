"""Which part of the work a process does, when several train together.

W processes, G groups of sequences (one for each member, or a single one), n sequences of a group.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rwmu_deploy.contract.errors import ConfigError


@dataclass(frozen=True)
class ProcessShare:
    """Process `rank` of W: an equal part of the robots, and of every group of sequences.

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


ALONE = ProcessShare()
"""Of a process that trains by itself."""
