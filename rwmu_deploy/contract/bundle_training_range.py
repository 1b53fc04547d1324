"""What a policy saw in training, entry by entry: the yardstick for what it sees on the robot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError


@dataclass(frozen=True)
class TrainingRange:
    """Statistics of every entry of an observation or action over the training data.

    Raises:
        ConfigError: Lengths differ, a number is not finite, or minimum <= mean <= maximum is
            broken.
    """

    minimum: tuple[float, ...]
    mean: tuple[float, ...]
    maximum: tuple[float, ...]
    std: tuple[float, ...]
    """Standard deviation; 0 where an entry never changed."""

    def __post_init__(self) -> None:
        for name in ("minimum", "mean", "maximum", "std"):
            numbers = tuple(float(value) for value in getattr(self, name))
            object.__setattr__(self, name, numbers)
            if len(numbers) != len(self.minimum) or not all(map(math.isfinite, numbers)):
                raise ConfigError(
                    f"training range has {name} {numbers[:4]}...; allowed are "
                    f"{len(self.minimum)} finite numbers",
                    fix="Compute it with TrainingRange.of(data).",
                )
        for i, (low, mean, high, std) in enumerate(
            zip(self.minimum, self.mean, self.maximum, self.std, strict=True)
        ):
            if not (low <= mean <= high and std >= 0.0):
                raise ConfigError(
                    f"training range entry {i} has minimum {low}, mean {mean}, maximum {high}, "
                    f"std {std}; allowed are growing numbers and a std of 0 up",
                    fix="Compute it with TrainingRange.of(data).",
                )

    @property
    def size(self) -> int:
        return len(self.minimum)

    @classmethod
    def of(cls, data: NDArray[np.floating]) -> TrainingRange:
        """Statistics of data, shape (N, entries), N >= 1.

        Raises:
            ConfigError: No rows, or a value is not finite.
        """
        if not (data.ndim == 2 and data.shape[0] >= 1):
            raise ConfigError(
                f"training data have the shape {data.shape}; allowed is (rows, entries)",
                fix="Give at least one row.",
            )
        rows = np.asarray(data, dtype=np.float64)
        low, high = rows.min(axis=0), rows.max(axis=0)
        # The mean of equal numbers can round to just outside them.
        mean = np.clip(rows.mean(axis=0), low, high)
        return cls(
            tuple(low.tolist()),
            tuple(mean.tolist()),
            tuple(high.tolist()),
            tuple(rows.std(axis=0).tolist()),
        )

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> TrainingRange:
        """Read what `to_dict` wrote.

        Raises:
            ConfigError: Keys or numbers are not those of a training range.
        """
        if set(document) != set(cls.__dataclass_fields__):
            raise ConfigError(
                f"training range has the keys {sorted(document)}; allowed are "
                f"{sorted(cls.__dataclass_fields__)}",
                fix="Compute it with TrainingRange.of(data).",
            )
        return cls(**{name: tuple(values) for name, values in document.items()})

    def to_dict(self) -> dict[str, list[float]]:
        """Lists for JSON, which keeps the numbers exactly."""
        return {name: list(values) for name, values in vars(self).items()}
