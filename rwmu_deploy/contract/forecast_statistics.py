"""Three numbers that say how far a robot is from what its world model expects.

- uncertainty: disagreement of the members before an action, smoothed over 0.1 s. Epistemic:
  the model says that it does not know (RWM-U, arXiv:2504.16680, its std_sum form).
- jump: how much one measurement misses its forecast, in the worst entry. 1 is the largest
  ordinary miss of that entry. A push shows in one step.
- drift: the squared distance of the smoothed errors from their ordinary mean, in the metric of
  their ordinary covariance, per entry (a multivariate exponentially weighted moving average,
  Lowry et al., Technometrics 34, 1992). Changed masses, friction, drives or encoders show within
  a second or some, though no single step looks strange.

Trainer and robot compute them here, or the thresholds would mean something else. S = state size.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.monitor_calibration import MonitorCalibration
from rwmu_deploy.contract.one_step_forecast import OneStepForecast

FloatArray = NDArray[np.float64]

UNCERTAINTY_TIME_S = 0.1
DRIFT_TIME_S = 1.0
LARGEST_ERROR = 5.0
"""Standardised errors are clipped to this before they are smoothed: one step is no drift."""


def smoothing_gain(time_s: float, control_dt_s: float) -> float:
    """Share of a new value in an exponentially weighted mean with this time constant."""
    return 1.0 - math.exp(-control_dt_s / time_s)


def standardised_error(
    state: FloatArray, forecast: OneStepForecast, error_floor: FloatArray
) -> FloatArray:
    """What was measured minus what was forecast, over what the forecast should miss by.

    Args:
        state: Measured, normalised units, shape (S,).
        forecast: The one that was made a step before.
        error_floor: Noise that all members agree on, shape (S,).
    """
    return (state - forecast.mean) / np.hypot(forecast.disagreement, error_floor)


class Smoothed:
    """An exponentially weighted mean of vectors or numbers."""

    def __init__(self, gain: float, start: FloatArray) -> None:
        self._gain = gain
        self.value = start.astype(np.float64)

    def add(self, value: FloatArray | float) -> FloatArray:
        """The mean with one more value in it."""
        # In this form infinity stays infinite.
        self.value = (1.0 - self._gain) * self.value + self._gain * value
        return self.value


class ForecastStatistics:
    """Follows one robot, step by step. After a gap make a new one.

    Args:
        calibration: What is ordinary.
        control_dt_s: Time between steps.
    """

    def __init__(self, calibration: MonitorCalibration, control_dt_s: float) -> None:
        self._calibration = calibration
        # Where there is no past, it is taken for ordinary.
        self._drift = Smoothed(smoothing_gain(DRIFT_TIME_S, control_dt_s), calibration.drift_mean)
        self._uncertainty: Smoothed | None = None
        self._gain = smoothing_gain(UNCERTAINTY_TIME_S, control_dt_s)

    def uncertainty(self, forecast: OneStepForecast) -> float:
        """Take a new forecast into account: the smoothed uncertainty before its action."""
        if self._uncertainty is None:
            self._uncertainty = Smoothed(self._gain, np.array(forecast.uncertainty))
        return float(self._uncertainty.add(forecast.uncertainty))

    def surprise(self, state: FloatArray, forecast: OneStepForecast) -> tuple[float, float]:
        """Take a measurement into account: jump and drift.

        Args:
            state: Measured, normalised units, shape (S,).
            forecast: The one that was made a step before.
        """
        ordinary = self._calibration
        error = standardised_error(state, forecast, ordinary.error_floor)
        jump = float((np.abs(error) / ordinary.jump_limit).max())
        smooth = self._drift.add(clipped(error)) - ordinary.drift_mean
        drift = float(smooth @ ordinary.drift_precision @ smooth) / smooth.size
        return jump, drift


def clipped(error: FloatArray) -> FloatArray:
    """Standardised errors within what is smoothed."""
    return np.clip(error, -LARGEST_ERROR, LARGEST_ERROR)
