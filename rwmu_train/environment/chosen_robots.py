"""Some of N robots: by their numbers, or, where the host must not wait for a GPU, by a mask.

How many robots begin anew in a step is known to the device first. Numbers of robots make the host
wait for it, and then do as little as possible; a mask does everything for all robots, keeps it for
the chosen ones, and has the same shapes in every step.

k = rows that are drawn and written: as many as are chosen, or, with a mask, N.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ListedRobots:
    """Robots by their numbers."""

    index: Tensor
    """Shape (k,)."""

    @classmethod
    def where(cls, mask: Tensor) -> ListedRobots:
        """Of a boolean mask (N,)."""
        return cls(mask.nonzero().flatten())

    @property
    def count(self) -> int:
        """K."""
        return len(self.index)

    def of(self, values: Tensor) -> Tensor:
        """Their rows (k, ...) of all robots' (N, ...)."""
        return values[self.index]

    def write(self, target: Tensor, values: Tensor | float, dim: int = 0) -> None:
        """Overwrite their part of `target` in place; `dim` is that of the robots."""
        target[(slice(None),) * dim + (self.index,)] = values

    def mean(self, values: Tensor) -> Tensor:
        """Mean of values (k,)."""
        return values.mean()


@dataclass(frozen=True)
class MaskedRobots:
    """Robots by a mask: nothing here asks how many they are."""

    mask: Tensor
    """Boolean, shape (N,)."""

    @classmethod
    def where(cls, mask: Tensor) -> MaskedRobots:
        """Of a boolean mask (N,)."""
        return cls(mask)

    @property
    def count(self) -> int:
        """K."""
        return len(self.mask)

    def of(self, values: Tensor) -> Tensor:
        """All rows (N, ...); those of others are not written back."""
        return values

    def write(self, target: Tensor, values: Tensor | float, dim: int = 0) -> None:
        """Overwrite their part of `target` in place; `dim` is that of the robots."""
        mask = self.mask.view(-1, *(1,) * (target.dim() - dim - 1))
        if isinstance(values, Tensor):
            target.copy_(torch.where(mask, values, target))
        else:
            target.masked_fill_(mask, values)

    def mean(self, values: Tensor) -> Tensor:
        """Mean of their values, of all robots' (N,); NaN where nobody is chosen."""
        return values.masked_fill(~self.mask, 0.0).sum() / self.mask.sum()


ChosenRobots = ListedRobots | MaskedRobots
