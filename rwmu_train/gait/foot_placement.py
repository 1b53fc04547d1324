"""Where a walking biped has to put its foot, by the linear inverted pendulum.

The capture point, the place on the ground over which the pendulum would come to rest, leaves the
standing foot exponentially; the next foot is put at the distance from it that leads to the next
step like this one (Englsberger, Ott and Albu-Schaeffer, "Three-dimensional bipedal walking control
based on divergent component of motion", IEEE T-RO 31 (2015), sections III and IV). N = robots.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
GRAVITY_MPS2 = 9.81


def pendulum_rate(height_m: FloatArray) -> FloatArray:
    """Rate at which a pendulum of this height (N,) falls, 1/s: sqrt(g / height)."""
    return np.sqrt(GRAVITY_MPS2 / height_m)


def capture_point(place_m: FloatArray, velocity_mps: FloatArray, rate: FloatArray) -> FloatArray:
    """Of a centre of mass, shapes (N, 2): place + velocity / rate."""
    return place_m + velocity_mps / rate[:, None]


def at_touchdown(
    capture_m: FloatArray, standing_m: FloatArray, rate: FloatArray, left_s: FloatArray
) -> FloatArray:
    """Where the capture point (N, 2) will be when the step ends in `left_s` (N,)."""
    return standing_m + (capture_m - standing_m) * np.exp(rate * left_s)[:, None]


def steady_offset(
    velocity_mps: FloatArray,
    width_m: FloatArray,
    side: FloatArray,
    rate: FloatArray,
    step_s: FloatArray,
) -> FloatArray:
    """From a foot that is put down to the capture point, in a gait that repeats; shape (N, 2).

    It grows by exp(rate * step_s) in a step: then it is as far from the next foot as before,
    mirrored, and the robot has gone on by velocity * step_s.

    Args:
        velocity_mps: Shape (N, 2).
        width_m: Between the feet, shape (N,).
        side: 1 where the foot is a left one, -1 a right one; shape (N,).
        rate: Shape (N,).
        step_s: Shape (N,).
    """
    growth = np.exp(rate * step_s)
    offset = velocity_mps * (step_s / (growth - 1.0))[:, None]
    offset[:, 1] -= side * width_m / (1.0 + growth)
    return offset
