"""Whether the robot is still where its world model has data: normal, caution or lost.

Pure: no clock, no disk. One step a control step; S = state size, A = action size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.forecast_statistics import ForecastStatistics
from rwmu_deploy.contract.monitor_calibration import MonitorCalibration, Threshold
from rwmu_deploy.contract.one_step_forecast import Forecaster, OneStepForecast

FloatArray = NDArray[np.float64]

MonitorMode = Literal["off", "warn", "act"]
"""`warn` reports; `act` shrinks the velocity command too, and asks for a stop when lost."""

CLEAR_S = 1.0
"""Caution ends after so long without a sign."""
SUSTAINED_S = 0.2
"""Lost needs to be seen at every step for so long."""
CAUTION_FACTOR = 0.5
"""On the velocity command."""
SHRINK_PER_S, GROW_PER_S = 2.0, 0.5
"""How fast the factor moves: a command that jumps is a disturbance of its own."""


class MonitorLevel(IntEnum):
    """In growing severity."""

    NORMAL = 0
    CAUTION = 1
    """Something is not as in the data."""
    LOST = 2
    """Nothing that the policy learned says what to do here. It stays until `reset`."""


@dataclass(frozen=True)
class MonitorReading:
    """What the monitor makes of a step. The statistics are over their thresholds of caution."""

    level: MonitorLevel
    is_warm: bool
    """Whether the world model has followed the robot for long enough to be believed."""
    uncertainty: float
    """Before the action of this step."""
    jump: float
    """Of this step's measurement."""
    drift: float
    fall_probability: float
    """Of a fall within the next step."""
    command_factor: float
    """What the next velocity command should be multiplied by: 0 to 1."""

    @property
    def says(self) -> str:
        """The level and what is behind it, in words."""
        shown = ", ".join(
            f"{name} {getattr(self, name):.2f}" for name in ("uncertainty", "jump", "drift")
        )
        return f"{self.level.name.lower()} ({shown} times the threshold of caution)"


class UncertaintyMonitor:
    """Follows one robot.

    A number that is not finite, or a world model that fails, counts as lost.

    Args:
        world_model: The bundle's.
        calibration: The bundle's.
        control_dt_s: Time between steps.

    Raises:
        ConfigError: The time is not above 0.
    """

    def __init__(
        self, world_model: Forecaster, calibration: MonitorCalibration, control_dt_s: float
    ) -> None:
        if not 0.0 < control_dt_s < math.inf:
            raise ConfigError(
                f"the monitor's time step is {control_dt_s} s; allowed is above 0",
                fix="Give control_dt_s of the robot.",
            )
        self._model = world_model
        self._calibration = calibration
        self._dt_s = control_dt_s
        self.command_factor = 1.0
        """What the next velocity command should be multiplied by."""
        self.reset()

    @property
    def level(self) -> MonitorLevel:
        """What holds now."""
        if self._is_lost:
            return MonitorLevel.LOST
        if self._since_sign_s < CLEAR_S:
            return MonitorLevel.CAUTION
        return MonitorLevel.NORMAL

    def reset(self) -> None:
        """Forget everything: after a gap, or before a start. A lost robot is found again."""
        self._memory = self._model.empty_memory()
        self._statistics = ForecastStatistics(self._calibration, self._dt_s)
        self._before: OneStepForecast | None = None
        self._steps = 0
        self._since_sign_s = math.inf
        self._lost_for_s = 0.0
        self._is_lost = False
        self.command_factor = 1.0

    def gap(self) -> None:
        """Forget what was measured, after a step without a new measurement; keep the level."""
        self._memory = self._model.empty_memory()
        self._before, self._steps = None, 0

    def step(self, state: NDArray[np.floating], action: NDArray[np.floating]) -> MonitorReading:
        """Take a measurement and the action that will be applied on it into account.

        Args:
            state: As the columns have it, in physical units, shape (S,).
            action: Shape (A,).
        """
        forecast, self._memory = self._model.step(state, action, self._memory)
        is_warm = self._steps >= self._calibration.history_rows
        uncertainty = jump = drift = 0.0
        if is_warm:
            ordinary = self._calibration
            uncertainty = self._statistics.uncertainty(forecast)
            if self._before is not None:
                jump, drift = self._statistics.surprise(forecast.state, self._before)
            self._judge(
                (uncertainty, ordinary.uncertainty),
                (jump, ordinary.jump),
                (drift, ordinary.drift),
            )
            uncertainty /= ordinary.uncertainty.caution
            jump /= ordinary.jump.caution
            drift /= ordinary.drift.caution
            self._before = forecast
        self._steps += 1
        self._move_factor()
        return MonitorReading(
            level=self.level,
            is_warm=is_warm,
            uncertainty=uncertainty,
            jump=jump,
            drift=drift,
            fall_probability=forecast.fall_probability,
            command_factor=self.command_factor,
        )

    def _judge(self, *statistics: tuple[float, Threshold]) -> None:
        # `not <=`, so that what is not a number is beyond every threshold.
        if all(value <= threshold.caution for value, threshold in statistics):
            self._since_sign_s += self._dt_s
        else:
            self._since_sign_s = 0.0
        if all(value <= threshold.lost for value, threshold in statistics):
            self._lost_for_s = 0.0
        else:
            self._lost_for_s += self._dt_s
        self._is_lost = self._is_lost or self._lost_for_s >= SUSTAINED_S - 1e-9

    def _move_factor(self) -> None:
        wanted = (1.0, CAUTION_FACTOR, 0.0)[self.level]
        step = float(
            np.clip(
                wanted - self.command_factor, -SHRINK_PER_S * self._dt_s, GROW_PER_S * self._dt_s
            )
        )
        self.command_factor = min(1.0, max(0.0, self.command_factor + step))
