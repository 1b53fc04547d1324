"""Starting points for robots that are told by a mask: only the device knows how many are drawn.

`WarmStarts` encodes new histories when those at hand are used up. Here that is looked at between
steps, and where it is seen late the histories at hand begin a few more episodes.
N = robots.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rwmu_train.imagination.warm_start import USES, StartingPoint, WarmStarts


class StartPool:
    """Encoded histories in memory that stays where it is.

    Args:
        starts: Encodes them, N at a time.
        count: N.
    """

    def __init__(self, starts: WarmStarts, count: int) -> None:
        self._starts, self._count = starts, count
        self._pool = starts.fresh(count)
        device = self._pool.state.device
        self._order = torch.zeros(USES * count, dtype=torch.long, device=device)
        self._drawn = torch.zeros((), dtype=torch.long, device=device)
        self._shuffle()

    def draw(self, mask: Tensor) -> StartingPoint:
        """Starting points of all robots (N, ...), of which those in `mask` (N,) count as used."""
        turn = self._drawn + mask.cumsum(0) - 1
        self._drawn += mask.sum()
        return self._pool.at(self._order[turn % len(self._order)])

    def refill_if_used(self) -> None:
        """Encode new histories if those at hand have begun `USES` episodes each. Waits."""
        if int(self._drawn) >= len(self._order):
            fresh = self._starts.fresh(self._count)
            for kept, new in zip(self._pool.tensors, fresh.tensors, strict=True):
                kept.copy_(new)
            self._shuffle()

    def _shuffle(self) -> None:
        self._order.copy_(torch.cat(self._starts.orders(self._count)))
        self._drawn.zero_()
