"""A calibration of two entries whose statistics can be computed by hand."""

from __future__ import annotations

import math

import numpy as np

from rwmu_deploy.contract.monitor_calibration import MonitorCalibration, Threshold
from rwmu_deploy.contract.one_step_forecast import OneStepForecast


def calibration(**changes) -> MonitorCalibration:
    values = {
        "rows": 10_000,
        "quantile": 0.9999,
        "recorded_by": "sim nominal",
        "history_rows": 2,
        "error_floor": np.array([0.3, 1.0]),
        "jump_limit": np.array([4.0, 2.0]),
        "drift_mean": np.array([0.0, 0.5]),
        "drift_precision": np.array([[2.0, 0.0], [0.0, 8.0]]),
        "uncertainty": Threshold(2.0, 3.0),
        "jump": Threshold(1.5, math.inf),
        "drift": Threshold(1.0, 10.0),
    }
    return MonitorCalibration(**(values | changes))


def forecast(
    mean: tuple[float, float] = (0.0, 0.0),
    disagreement: tuple[float, float] = (0.4, 0.0),
    state: tuple[float, float] = (0.0, 0.0),
) -> OneStepForecast:
    return OneStepForecast(np.array(state), np.array(mean), np.array(disagreement), 0.25)
