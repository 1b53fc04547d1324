"""What every robot is asked for at every step, settled before any of them moves.

T = control steps, N = robots.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.command_range import CommandRange

FloatArray = NDArray[np.float64]

HELD_S = (2.0, 8.0)
"""A command holds for a time from this range."""


def command_schedule(
    command_range: CommandRange, steps: int, robots: int, control_dt_s: float, seed: int
) -> FloatArray:
    """Uniform commands vx, vy [m/s], wz [rad/s], new ones at random times, shape (T, N, 3)."""
    rng = np.random.default_rng(seed)
    shortest, longest = (round(time_s / control_dt_s) for time_s in HELD_S)
    schedule = np.empty((steps, robots, 3))
    for robot in range(robots):
        step = 0
        while step < steps:
            held = int(rng.integers(shortest, longest, endpoint=True))
            schedule[step : step + held, robot] = rng.uniform(
                command_range.lower, command_range.upper
            )
            step += held
    return schedule
