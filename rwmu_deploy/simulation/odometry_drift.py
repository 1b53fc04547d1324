"""Where odometry believes robots are: off by a share of the way they walked.

Real odometry adds up errors that partly cancel. Here they all add up, in a direction of its own
for each robot: the worst that a drift of this share can be. N = robots.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError

FloatArray = NDArray[np.float64]
LARGEST_SHARE = 0.2
_CARRIED_M = 0.5


class OdometryDrift:
    """Follows N robots.

    Args:
        share: Error over way.
        count: N.
        seed: Of the directions.

    Raises:
        ConfigError: The share is out of range.
    """

    def __init__(self, share: float, count: int, seed: int) -> None:
        if not 0.0 <= share <= LARGEST_SHARE:
            raise ConfigError(
                f"odometry drift is {share}; allowed is 0 to {LARGEST_SHARE:g} of the way",
                fix="2 % is 0.02.",
            )
        angle = np.random.default_rng(seed).uniform(0.0, 2.0 * np.pi, count)
        self._drift = share * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        self._way_m = np.zeros((count, 1))
        self._before: FloatArray | None = None

    def believed_m(self, position_m: FloatArray) -> FloatArray:
        """Positions as odometry has them, of the true ones at the next step, shape (N, 2)."""
        position_m = np.array(position_m, dtype=np.float64)
        if self._before is not None:
            step_m = np.linalg.norm(position_m - self._before, axis=-1, keepdims=True)
            # A robot that was carried has not walked.
            self._way_m += np.where(step_m <= _CARRIED_M, step_m, 0.0)
        self._before = position_m
        return position_m + self._drift * self._way_m
