"""Velocity commands by what they ask for: standing, speed, direction, turning."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rwmu_train.task.reward_terms import MOVING_COMMAND

SPEED_EDGES_MPS = (MOVING_COMMAND, 0.5, 1.0, np.inf)
YAW_EDGES_RADPS = (0.0, 1 / 3, 2 / 3, np.inf)


def command_bins(command: NDArray[np.floating]) -> dict[str, NDArray[np.bool_]]:
    """Where commands vx, vy [m/s], wz [rad/s] (..., 3) fall; each bin of shape (...).

    A command is in one bin of speed and one of turning, and in one of direction if it moves.
    """
    vx, vy, wz = (command[..., i] for i in range(3))
    speed, turn = np.hypot(vx, vy), np.abs(wz)
    standing = (speed < MOVING_COMMAND) & (turn < MOVING_COMMAND)
    bins = {"standing": standing}
    bins["turning in place"] = (speed < MOVING_COMMAND) & ~standing
    for low, high in pairwise(SPEED_EDGES_MPS):
        bins[f"speed {_range(low, high)} m/s"] = (speed >= low) & (speed < high)
    moving = speed >= MOVING_COMMAND
    sideways = np.abs(vy) > np.abs(vx)
    bins["forward"] = moving & ~sideways & (vx > 0.0)
    bins["backward"] = moving & ~sideways & (vx <= 0.0)
    bins["left"] = moving & sideways & (vy > 0.0)
    bins["right"] = moving & sideways & (vy <= 0.0)
    for low, high in pairwise(YAW_EDGES_RADPS):
        bins[f"yaw {_range(low, high)} rad/s"] = (turn >= low) & (turn < high) & ~standing
    return bins


def _range(low: float, high: float) -> str:
    return f"{low:.2g} up" if np.isinf(high) else f"{low:.2g} to {high:.2g}"
