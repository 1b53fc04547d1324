from __future__ import annotations

import json
import math

import numpy as np
import pytest
from monitor_numbers import calibration

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.monitor_calibration import MonitorCalibration, Threshold


def test_it_comes_back_from_json_number_by_number():
    before = calibration(drift_mean=np.array([0.1, 1 / 3]))
    document = json.loads(json.dumps(before.to_dict(), allow_nan=False))
    after = MonitorCalibration.from_dict(document)
    assert after.to_dict() == before.to_dict()
    assert after.jump.lost == math.inf
    assert after.drift_mean[1] == 1 / 3


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("error_floor", np.array([0.0, 1.0]), "above 0"),
        ("jump_limit", np.array([1.0, math.nan]), "finite"),
        ("jump_limit", np.ones(3), r"shape \(2,\)"),
        ("drift_mean", np.zeros(1), r"shape \(2,\)"),
        ("drift_precision", np.array([[1.0, 0.5], [0.0, 1.0]]), "symmetric"),
        ("drift_precision", np.array([[1.0, 2.0], [2.0, 1.0]]), "positive definite"),
        ("rows", 0, "1 up"),
        ("history_rows", 0, "1 up"),
        ("quantile", 1.0, "between 0 and 1"),
        ("quantile", math.nan, "between 0 and 1"),
    ],
)
def test_numbers_that_no_statistic_can_use_are_refused_by_name(field: str, value, said: str):
    with pytest.raises(ConfigError, match=rf"{field}.*{said}"):
        calibration(**{field: value})


@pytest.mark.parametrize("pair", [(0.0, 1.0), (2.0, 1.0), (math.nan, 1.0), (math.inf, math.inf)])
def test_a_threshold_that_would_never_speak_or_always_is_refused(pair: tuple[float, float]):
    with pytest.raises(ConfigError, match="0 < caution <= lost"):
        Threshold(*pair)


def test_a_key_too_many_or_too_few_is_refused():
    document = calibration().to_dict()
    for other in ({**document, "more": 1}, {k: v for k, v in document.items() if k != "rows"}):
        with pytest.raises(ConfigError, match="keys"):
            MonitorCalibration.from_dict(other)
