"""The velocity commands that a policy was trained with, and no others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.observation import COMMAND_LABELS

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class CommandRange:
    """Lowest and highest velocity command: vx [m/s], vy [m/s], wz [rad/s], base frame.

    Raises:
        ConfigError: Not three numbers each, one is not finite, or lower is above upper.
    """

    lower: tuple[float, float, float]
    """Lowest vx, vy, wz."""
    upper: tuple[float, float, float]
    """Highest vx, vy, wz; equal to the lower value where a policy knows one command only."""

    def __post_init__(self) -> None:
        for side in ("lower", "upper"):
            numbers = tuple(float(value) for value in getattr(self, side))
            if not (len(numbers) == 3 and all(map(math.isfinite, numbers))):
                raise ConfigError(
                    f"command range {side} is {numbers}; allowed are three finite numbers",
                    fix=f"Give {', '.join(COMMAND_LABELS)}.",
                )
            object.__setattr__(self, side, numbers)
        for label, low, high in zip(COMMAND_LABELS, self.lower, self.upper, strict=True):
            if not low <= high:
                raise ConfigError(
                    f"command range of {label} is {low} to {high}; the first must not be above",
                    fix="Swap the two numbers.",
                )

    def clip(self, command: Sequence[float] | NDArray[np.floating]) -> FloatArray:
        """The nearest command inside the range, shape (3,), float64.

        A clip is no guard against NaN, so a command that is not finite is refused.

        Raises:
            ConfigError: The command is not three finite numbers.
        """
        array = np.asarray(command, dtype=np.float64)
        if not (array.shape == (3,) and np.isfinite(array).all()):
            raise ConfigError(
                f"velocity command is {array.tolist()}; allowed are three finite numbers",
                fix=f"Send {', '.join(COMMAND_LABELS)}.",
            )
        return np.clip(array, self.lower, self.upper)

    @classmethod
    def from_pairs(cls, pairs: Sequence[tuple[float, float]]) -> CommandRange:
        """Range from (lowest, highest) of vx, vy, wz."""
        if len(pairs) != 3:
            raise ConfigError(
                f"command range has {len(pairs)} pairs; allowed are 3",
                fix=f"Give (lowest, highest) of {', '.join(COMMAND_LABELS)}.",
            )
        (vx0, vx1), (vy0, vy1), (wz0, wz1) = pairs
        return cls((vx0, vy0, wz0), (vx1, vy1, wz1))
