"""Which sequences of a batch each trunk and each member sees, and in which shape.

Lanes P are groups of sequences in a batch: one that all members learn from, or one for each
member. Trunks G: one for all members, or one for each.
Notation: T steps, B = P * n sequences, E members, m sequences that a member learns from
(B with one lane, n with E), D and H features.
"""

from __future__ import annotations

from torch import Tensor

from rwmu_train.world_model.ensemble import Architecture


class MemberLanes:
    """Brings batches into the shapes of trunks and members.

    Args:
        architecture: Of the model.
        split: Whether each member has a lane of its own.
    """

    def __init__(self, architecture: Architecture, split: bool) -> None:
        self._members, self._split = architecture.members, split

    def for_trunk(self, batch: Tensor, trunks: int) -> Tensor:
        """(T, B, D) to (G, T, sequences of a trunk, D)."""
        if trunks == 1:
            return batch.unsqueeze(0)
        return self.for_members(batch)

    def for_members(self, batch: Tensor) -> Tensor:
        """(T, B, D) to (E, T, m, D)."""
        if not self._split:
            return batch.unsqueeze(0).expand(self._members, -1, -1, -1)
        steps, _, size = batch.shape
        return batch.reshape(steps, self._members, -1, size).transpose(0, 1)

    def of_trunk(self, features: Tensor) -> Tensor:
        """What trunks made, (G, T, sequences of a trunk, H), to (E, T, m, H)."""
        if len(features) > 1 or self._members == 1:
            return features
        return self.for_members(features[0])

    @staticmethod
    def to_trunk(of_members: Tensor, trunks: int) -> Tensor:
        """(E, m, D) to (G, E * m / G, D)."""
        return of_members if trunks > 1 else of_members.flatten(0, 1).unsqueeze(0)

    def back(self, of_trunks: Tensor) -> Tensor:
        """Undo `to_trunk`."""
        if len(of_trunks) > 1:
            return of_trunks
        return of_trunks[0].unflatten(0, (self._members, -1))
