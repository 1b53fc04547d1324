"""The numbers by which a robot knows that it has left the data; they travel in the manifest.

They come from held-out transitions of a robot that walked well (`rwmu-export --monitor-data`).
S = state size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError

FloatArray = NDArray[np.float64]
_FIX = "Export the bundle again with rwmu-export --world-model DIR --monitor-data DIR."


@dataclass(frozen=True)
class Threshold:
    """Where a statistic begins to ask for something.

    Raises:
        ConfigError: Not 0 < caution <= lost.
    """

    caution: float
    lost: float
    """Infinite where the statistic never asks for more than caution; in JSON it is null."""

    def __post_init__(self) -> None:
        if not (0.0 < self.caution < math.inf and self.caution <= self.lost):
            raise ConfigError(
                f"monitor threshold is {self.caution} for caution, {self.lost} for lost; allowed "
                "is 0 < caution <= lost, caution finite",
                fix=_FIX,
            )

    def to_dict(self) -> dict[str, float | None]:
        """For JSON, which has no infinity."""
        return {
            "caution": self.caution,
            "lost": None if math.isinf(self.lost) else self.lost,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Threshold:
        """Read what `to_dict` wrote."""
        if set(document) != {"caution", "lost"}:
            raise ConfigError(f"monitor threshold has the keys {sorted(document)}", fix=_FIX)
        lost = document["lost"]
        return cls(float(document["caution"]), math.inf if lost is None else float(lost))


@dataclass(frozen=True, eq=False)
class MonitorCalibration:
    """What is ordinary on this robot.

    Raises:
        ConfigError: A shape, sign or number that no statistic could be computed with.
    """

    rows: int
    """Held-out rows behind these numbers."""
    quantile: float
    """Share of those rows below each caution threshold."""
    recorded_by: str
    """Which robot wrote them, in words."""
    history_rows: int
    """Rows that the world model must have followed before it is believed."""
    error_floor: FloatArray
    """Noise that all members agree on, normalised units, shape (S,)."""
    jump_limit: FloatArray
    """`quantile` of every entry's standardised error, shape (S,)."""
    drift_mean: FloatArray
    """Mean of the smoothed standardised error, shape (S,)."""
    drift_precision: FloatArray
    """Inverse covariance of the smoothed standardised error, shape (S, S)."""
    uncertainty: Threshold
    jump: Threshold
    drift: Threshold

    def __post_init__(self) -> None:
        size = self.error_floor.size
        shapes = {
            "error_floor": (size,),
            "jump_limit": (size,),
            "drift_mean": (size,),
            "drift_precision": (size, size),
        }
        for name, shape in shapes.items():
            values = getattr(self, name)
            if not (values.shape == shape and size > 0 and np.isfinite(values).all()):
                self._refuse(name, f"shape {values.shape}", f"finite numbers of shape {shape}")
        for name in ("error_floor", "jump_limit"):
            if not (getattr(self, name) > 0.0).all():
                self._refuse(name, "a number that is not above 0", "numbers above 0")
        precision = self.drift_precision
        if not np.allclose(precision, precision.T, rtol=1e-9, atol=0.0):
            self._refuse("drift_precision", "unequal halves", "a symmetric matrix")
        if not (np.linalg.eigvalsh(precision) > 0.0).all():
            self._refuse("drift_precision", "a negative direction", "a positive definite matrix")
        if not (self.rows >= 1 and self.history_rows >= 1 and 0.0 < self.quantile < 1.0):
            self._refuse(
                "rows, history_rows, quantile",
                f"{self.rows}, {self.history_rows}, {self.quantile}",
                "1 up, 1 up, between 0 and 1",
            )

    @property
    def state_size(self) -> int:
        return self.error_floor.size

    def to_dict(self) -> dict[str, Any]:
        """For JSON, which keeps the numbers exactly."""
        return {
            name: value.to_dict()
            if isinstance(value, Threshold)
            else value.tolist()
            if isinstance(value, np.ndarray)
            else value
            for name, value in vars(self).items()
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> MonitorCalibration:
        """Read what `to_dict` wrote.

        Raises:
            ConfigError: Other keys, or numbers that can't be used.
        """
        if set(document) != {field.name for field in fields(cls)}:
            raise ConfigError(f"monitor calibration has the keys {sorted(document)}", fix=_FIX)
        read = dict(document)
        for name in ("error_floor", "jump_limit", "drift_mean", "drift_precision"):
            read[name] = np.array(document[name], dtype=np.float64)
        for name in ("uncertainty", "jump", "drift"):
            read[name] = Threshold.from_dict(document[name])
        return cls(**read)

    def _refuse(self, name: str, value: str, allowed: str) -> None:
        raise ConfigError(
            f"monitor calibration {name} has {value}; allowed is {allowed}", fix=_FIX
        )
