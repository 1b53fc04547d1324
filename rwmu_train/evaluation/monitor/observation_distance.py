"""The plain way to notice the unusual: how far an observation is from the mean of others.

It needs no model. What a monitor with one sees must be more than this. O = observation size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.bundle_training_range import TrainingRange

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ObservationDistance:
    """Largest |z| of an observation's entries; entries that never changed are left out."""

    mean: FloatArray
    """Shape (O,)."""
    std: FloatArray
    """Shape (O,)."""

    @classmethod
    def from_range(cls, seen: TrainingRange) -> ObservationDistance:
        """From what a policy saw in training."""
        return cls(np.array(seen.mean), np.array(seen.std))

    def of(self, observation: NDArray[np.floating]) -> FloatArray:
        """Distances of observations (..., O), shape (...)."""
        changes = self.std > 0.0
        offset = observation[..., changes] - self.mean[changes]
        return np.abs(offset / self.std[changes]).max(axis=-1, initial=0.0)
