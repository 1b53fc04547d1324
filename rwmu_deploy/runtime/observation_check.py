"""Whether an observation is one that a policy could have learned from at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_deploy.contract.robot_spec import SafetyLimits
from rwmu_deploy.runtime.safety_monitor import SafetyState, Verdict


class ObservationCheck:
    """Holds observations against the training data, entry by entry.

    The limit is far beyond what a push or a heavy load does: it finds a wrong unit, a wrong
    normaliser, a broken sensor. Whether the robot is still where its policy has data, the world
    model on board says much sooner.

    Args:
        training: Statistics of the training observations; None: they aren't known, and all pass.
        limits: How far is too far.
    """

    def __init__(self, training: TrainingRange | None, limits: SafetyLimits) -> None:
        self._limit = limits.observation_sigma_damp
        self._is_known = training is not None
        if training is not None:
            self._mean = np.array(training.mean)
            std = np.array(training.std)
            # An entry that never changed in training has no yardstick.
            self._precision = np.divide(1.0, std, out=np.zeros_like(std), where=std > 0.0)

    def verdict(self, observation: NDArray[np.float32]) -> Verdict | None:
        """DAMP for an observation, shape (O,), that is too far out; None for one that is not."""
        if not self._is_known:
            return None
        sigmas = np.abs(observation - self._mean) * self._precision
        worst = int(np.argmax(sigmas))
        if sigmas[worst] <= self._limit:
            return None
        detail = (
            f"entry {worst} is {sigmas[worst]:.3g} standard deviations from the training mean, "
            f"allowed is {self._limit:g}"
        )
        return Verdict(SafetyState.DAMP, "observation_far_from_training", detail)
