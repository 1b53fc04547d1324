"""Where a robot may walk: a rectangle on the floor, less the rectangles that are kept out.

Positions are in the odometry's frame, in metres, shape (..., 2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Rectangle:
    """A rectangle of any direction.

    Raises:
        ConfigError: A number isn't finite, or a side isn't above 0.
    """

    length_m: float
    """Along its own x axis."""
    width_m: float
    centre_m: tuple[float, float] = (0.0, 0.0)
    yaw_rad: float = 0.0
    """From the frame's x axis to its own."""

    def __post_init__(self) -> None:
        numbers = (self.length_m, self.width_m, *self.centre_m, self.yaw_rad)
        if not (all(map(math.isfinite, numbers)) and min(self.length_m, self.width_m) > 0.0):
            raise ConfigError(
                f"a rectangle of {self.length_m} m x {self.width_m} m about {self.centre_m}, "
                f"turned by {self.yaw_rad} rad, is none; allowed are finite numbers and sides "
                "above 0",
                fix="Measure the area again.",
            )

    def depth_m(self, position_m: FloatArray) -> FloatArray:
        """Distance to the nearest side, shape (...): above 0 inside, below 0 outside."""
        cos, sin = math.cos(self.yaw_rad), math.sin(self.yaw_rad)
        away = position_m - np.asarray(self.centre_m)
        along = np.abs(away[..., 0] * cos + away[..., 1] * sin) - 0.5 * self.length_m
        across = np.abs(away[..., 1] * cos - away[..., 0] * sin) - 0.5 * self.width_m
        outside = np.hypot(np.maximum(along, 0.0), np.maximum(across, 0.0))
        return -(outside + np.minimum(np.maximum(along, across), 0.0))


@dataclass(frozen=True)
class WalkingArea:
    """A rectangle, and what lies in it and isn't to be walked on."""

    boundary: Rectangle
    keep_out: tuple[Rectangle, ...] = ()

    def depth_m(self, position_m: FloatArray) -> FloatArray:
        """Distance to what must not be reached, shape (...): above 0 while inside."""
        depth = self.boundary.depth_m(position_m)
        for rectangle in self.keep_out:
            depth = np.minimum(depth, -rectangle.depth_m(position_m))
        return depth
