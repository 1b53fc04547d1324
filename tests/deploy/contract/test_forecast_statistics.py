from __future__ import annotations

import math

import numpy as np
import pytest
from monitor_numbers import calibration, forecast

from rwmu_deploy.contract.forecast_statistics import (
    ForecastStatistics,
    smoothing_gain,
    standardised_error,
)

DT_S = 0.02


def test_an_error_counts_in_units_of_disagreement_and_noise():
    # hypot(0.4, 0.3) = 0.5, hypot(0, 1) = 1
    error = standardised_error(np.array([2.0, 3.0]), forecast((1.0, 5.0)), np.array([0.3, 1.0]))
    assert error.tolist() == pytest.approx([2.0, -2.0])


def test_uncertainty_begins_where_it_is_and_then_moves_slowly():
    statistics = ForecastStatistics(calibration(), DT_S)
    assert statistics.uncertainty(forecast(disagreement=(0.4, 0.6))) == pytest.approx(1.0)
    gain = 1.0 - math.exp(-0.2)
    after = statistics.uncertainty(forecast(disagreement=(1.4, 1.6)))
    assert after == pytest.approx(1.0 + gain * 2.0)


def test_a_jump_is_the_worst_entry_over_its_limit():
    statistics = ForecastStatistics(calibration(), DT_S)
    # Standardised errors 6 and 4, limits 4 and 2.
    jump, _ = statistics.surprise(np.array([3.0, 4.0]), forecast())
    assert jump == pytest.approx(2.0)


def test_drift_is_the_distance_of_smoothed_errors_in_the_metric_of_ordinary_ones():
    statistics = ForecastStatistics(calibration(), DT_S)
    gain = smoothing_gain(1.0, DT_S)
    _, drift = statistics.surprise(np.array([1.0, -1.5]), forecast())
    # From the ordinary mean (0, 0.5) towards (2, -1.5): gain * (2, -2).
    assert drift == pytest.approx((2.0 * (2 * gain) ** 2 + 8.0 * (2 * gain) ** 2) / 2)


def test_the_ordinary_error_never_drifts():
    statistics = ForecastStatistics(calibration(), DT_S)
    for _ in range(100):
        _, drift = statistics.surprise(np.array([0.0, 0.5]), forecast())
    assert drift == pytest.approx(0.0, abs=1e-12)


def test_a_single_huge_error_is_a_jump_and_no_drift():
    def drift_of(miss: float) -> tuple[float, float]:
        return ForecastStatistics(calibration(), DT_S).surprise(np.array([miss, 0.5]), forecast())

    jump, drift = drift_of(1000.0)
    assert jump == pytest.approx(500.0)
    # 2.5 is 5 standard units, where errors are clipped.
    assert drift == drift_of(2.5)[1]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_a_number_stays_visible(bad: float):
    statistics = ForecastStatistics(calibration(), DT_S)
    jump, _ = statistics.surprise(np.array([bad, 0.0]), forecast())
    assert not jump <= 1.5
    assert not statistics.uncertainty(forecast(disagreement=(bad, 0.0))) <= 2.0
