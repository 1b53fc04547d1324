"""What an inertial measurement unit adds to the truth. N = robots."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.simulation.robot_variant import DrawnRobots, RobotVariant

FloatArray = NDArray[np.float64]
# Keeps this noise apart from everything else that is drawn with the same seed.
_STREAM = 0x494D55


class ImuErrors:
    """Constant biases, and white noise that stays as it is until `renew`.

    Args:
        variant: Gives the standard deviations.
        drawn: Gives the biases of N robots.
        seed: Seed of the white noise.
    """

    def __init__(self, variant: RobotVariant, drawn: DrawnRobots, seed: int) -> None:
        self._bias = np.hstack([drawn.angular_velocity_bias_radps, drawn.gravity_bias])
        noise = [variant.angular_velocity_noise_radps] * 3 + [variant.gravity_noise] * 3
        self._noise = np.array(noise)
        self._rng = np.random.default_rng([_STREAM, seed])
        self._error = self._bias

    def renew(self) -> None:
        """Draw the white noise of the next measurement."""
        self._error = self._bias + self._noise * self._rng.standard_normal(self._bias.shape)

    def angular_velocity_radps(
        self, true_radps: FloatArray, robots: NDArray[np.intp]
    ) -> FloatArray:
        """Measured angular velocity of some robots, shape (len(robots), 3)."""
        return true_radps + self._error[robots, :3]

    def projected_gravity(self, true: FloatArray, robots: NDArray[np.intp]) -> FloatArray:
        """Measured unit vector of gravity of some robots, shape (len(robots), 3)."""
        measured = true + self._error[robots, 3:]
        return measured / np.linalg.norm(measured, axis=1, keepdims=True)
