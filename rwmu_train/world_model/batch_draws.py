"""Random numbers of a batch that several processes share.

E members, G groups of sequences (one for each member, or a single one), n sequences of a group in
this process, T steps, S state size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rwmu_train.processes.process_share import ProcessShare


class BatchDraws:
    """Random numbers of one gradient step.

    Every process draws those of the whole batch and keeps its share, so that the number of
    processes changes no result.

    Args:
        generator: In the same state in every process.
        share: Of this process.
        sequences: n, the sequences of a group in this process.
    """

    def __init__(self, generator: torch.Generator, share: ProcessShare, sequences: int) -> None:
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
