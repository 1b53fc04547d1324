"""The rule by which one of the policies along a training run is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from rwmu_train.policy.policy_network import PolicyNetwork


class PolicyChoice:
    """The best policy so far by score, the one before the first iteration included.

    Args:
        network: The policy at the start, or the best one so far.
        score: What a policy is worth, more is better.
        iteration: After which iteration `network` was taken.
        scores: Scores so far by iteration; None scores `network`.
    """

    def __init__(
        self,
        network: PolicyNetwork,
        score: Callable[[PolicyNetwork], float],
        *,
        iteration: int = 0,
        scores: Mapping[int, float] | None = None,
    ) -> None:
        self._score = score
        self.network = network
        self.iteration = iteration
        """After which iteration the best policy was taken; 0 is the start."""
        self.scores = {iteration: score(network)} if scores is None else dict(scores)
        """Score by iteration."""

    def offer(self, iteration: int, network: PolicyNetwork) -> None:
        """Score a candidate and keep it if it is better."""
        self.scores[iteration] = self._score(network)
        best = self.scores[self.iteration]
        if math.isfinite(self.scores[iteration]) and not best >= self.scores[iteration]:
            self.network, self.iteration = network, iteration
