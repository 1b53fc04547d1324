"""The offline rule by which one of the policies along a training run is kept."""

from __future__ import annotations

import math
from collections.abc import Callable

from rwmu_train.policy.policy_network import PolicyNetwork


class PolicyChoice:
    """The best policy so far by imagined score, the one before the first iteration included."""

    def __init__(self, network: PolicyNetwork, score: Callable[[PolicyNetwork], float]) -> None:
        self._score = score
        self.network = network
        self.iteration = 0
        """After which iteration the best policy was taken; 0 is the start."""
        self.scores: dict[int, float] = {0: score(network)}
        """Imagined score by iteration."""

    def offer(self, iteration: int, network: PolicyNetwork) -> None:
        """Score a candidate and keep it if it is better."""
        self.scores[iteration] = self._score(network)
        best = self.scores[self.iteration]
        if math.isfinite(self.scores[iteration]) and not best >= self.scores[iteration]:
            self.network, self.iteration = network, iteration
