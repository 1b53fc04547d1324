"""Find falls in recorded attitudes; a bag has no other sign of them. N = rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

UPRIGHT_AGAIN = 0.5
"""A fallen robot is upright again below this share of the limit, so that none falls twice."""


def find_falls(
    projected_gravity: FloatArray, usable: BoolArray, follows: BoolArray, limit_rad: float
) -> tuple[BoolArray, BoolArray]:
    """Rows in which the robot fell, and rows in which it lies.

    Args:
        projected_gravity: Unit vectors in the base frame, shape (N, 3).
        usable: Rows that can be made, shape (N,).
        follows: Rows whose predecessor is their state before, shape (N,).
        limit_rad: A base tilted further has fallen.

    Returns:
        Falls, which end an episode and stay; and rows to leave out: those after a fall until the
        robot is upright again, and those of a robot that nothing is known of before it lay.
    """
    tilt_rad = np.arccos(np.clip(-projected_gravity[:, 2], -1.0, 1.0))
    fell = np.zeros(len(usable), dtype=bool)
    lies = np.zeros(len(usable), dtype=bool)
    is_down = False
    for row in np.flatnonzero(usable).tolist():
        if is_down:
            is_down = lies[row] = not tilt_rad[row] <= UPRIGHT_AGAIN * limit_rad
        elif not tilt_rad[row] <= limit_rad:
            is_down = True
            fell[row] = follows[row]
            lies[row] = not follows[row]
    return fell, lies
