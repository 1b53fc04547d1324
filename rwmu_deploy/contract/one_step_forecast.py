"""What a world model says of one step, and how a robot asks it.

S = state size, A = action size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Memory = tuple[NDArray[np.float32], ...]


@dataclass(frozen=True)
class OneStepForecast:
    """What the world model makes of a state and the action that follows it."""

    state: FloatArray
    """The present state in normalised units, shape (S,)."""
    mean: FloatArray
    """Mean of the members' next states, normalised units, shape (S,)."""
    disagreement: FloatArray
    """Standard deviation of the members' next states, normalised units, shape (S,)."""
    fall_probability: float
    """Mean of the members' probabilities that the next row is a fall."""

    @property
    def uncertainty(self) -> float:
        """Epistemic uncertainty: sum of the disagreement over state entries (`std_sum`)."""
        return float(self.disagreement.sum())


class Forecaster(Protocol):
    """A world model with its memory in the caller's hands; that of a bundle is one."""

    def empty_memory(self) -> Memory:
        """What it remembers before its first step."""
        ...

    def step(
        self, state: NDArray[np.floating], action: NDArray[np.floating], memory: Memory
    ) -> tuple[OneStepForecast, Memory]:
        """Forecast what follows a state, shape (S,), and the action on it, shape (A,)."""
        ...
