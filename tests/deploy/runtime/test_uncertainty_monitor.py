from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.monitor_calibration import MonitorCalibration, Threshold
from rwmu_deploy.contract.one_step_forecast import OneStepForecast
from rwmu_deploy.runtime.uncertainty_monitor import MonitorLevel, UncertaintyMonitor

DT_S = 0.02
HISTORY = 32


class Scripted:
    """A world model that says what the test tells it."""

    def __init__(self) -> None:
        self.disagreement = 1.0
        self.mean = np.zeros(2)

    def empty_memory(self) -> tuple:
        return ()

    def step(self, state, action, memory) -> tuple[OneStepForecast, tuple]:
        spread = np.array([self.disagreement, 0.0])
        return OneStepForecast(np.asarray(state, float), self.mean, spread, 0.125), ()


@pytest.fixture
def model() -> Scripted:
    return Scripted()


@pytest.fixture
def monitor(model: Scripted) -> UncertaintyMonitor:
    ordinary = MonitorCalibration(
        rows=10_000,
        quantile=0.9999,
        recorded_by="sim nominal",
        history_rows=HISTORY,
        error_floor=np.ones(2),
        jump_limit=np.array([4.0, 4.0]),
        drift_mean=np.zeros(2),
        drift_precision=np.eye(2),
        uncertainty=Threshold(2.0, 3.0),
        jump=Threshold(1.0, math.inf),
        drift=Threshold(0.5, 5.0),
    )
    return UncertaintyMonitor(model, ordinary, DT_S)


def _steps(monitor: UncertaintyMonitor, count: int, state=(0.0, 0.0)) -> Iterator:
    for _ in range(count):
        yield monitor.step(np.array(state), np.zeros(1))


def _last(monitor: UncertaintyMonitor, count: int, state=(0.0, 0.0)):
    return list(_steps(monitor, count, state))[-1]


def test_ordinary_walking_is_normal_and_leaves_the_command_alone(monitor: UncertaintyMonitor):
    for reading in _steps(monitor, 500):
        assert reading.level is MonitorLevel.NORMAL
        assert reading.command_factor == 1.0
    assert (reading.is_warm, reading.uncertainty, reading.fall_probability) == (True, 0.5, 0.125)


def test_before_it_has_followed_the_history_it_says_nothing(
    monitor: UncertaintyMonitor, model: Scripted
):
    model.disagreement = 1e6
    for reading in _steps(monitor, HISTORY, state=(1e6, 0.0)):
        assert (reading.level, reading.is_warm) == (MonitorLevel.NORMAL, False)
    assert _last(monitor, 1).level is MonitorLevel.CAUTION


def test_one_step_that_misses_by_far_is_a_caution_for_a_second(monitor: UncertaintyMonitor):
    _last(monitor, 100)
    pushed = _last(monitor, 1, state=(50.0, 0.0))
    assert pushed.level is MonitorLevel.CAUTION
    # Disagreement 1 and floor 1: the miss is 50 / sqrt(2), over the limit 4.
    assert pushed.jump == pytest.approx(50.0 / math.sqrt(2.0) / 4.0)
    after = list(_steps(monitor, 51))
    assert [r.level for r in after[:49]] == [MonitorLevel.CAUTION] * 49
    assert after[-1].level is MonitorLevel.NORMAL


def test_a_small_miss_that_stays_becomes_a_caution(monitor: UncertaintyMonitor):
    _last(monitor, 100)
    readings = list(_steps(monitor, 200, state=(1.5, 0.0)))
    assert readings[0].level is MonitorLevel.NORMAL
    assert readings[-1].level is MonitorLevel.CAUTION
    assert readings[-1].jump < 1.0 < readings[-1].drift


def test_uncertainty_above_lost_for_a_fifth_of_a_second_is_lost(
    monitor: UncertaintyMonitor, model: Scripted
):
    _last(monitor, 100)
    model.disagreement = 1e3
    levels = [reading.level for reading in _steps(monitor, 10)]
    assert levels == [MonitorLevel.CAUTION] * 9 + [MonitorLevel.LOST]


def test_a_shorter_time_above_lost_is_only_a_caution(monitor: UncertaintyMonitor, model: Scripted):
    _last(monitor, 100)
    model.disagreement = 30.0
    _last(monitor, 1)
    model.disagreement = 0.0
    levels = {reading.level for reading in _steps(monitor, 10)}
    assert levels == {MonitorLevel.CAUTION}


def test_a_jump_alone_never_means_lost(monitor: UncertaintyMonitor):
    _last(monitor, 100)
    for side in (1, -1) * 50:
        reading = _last(monitor, 1, state=(side * 1e3, 0.0))
    assert reading.level is MonitorLevel.CAUTION


def test_lost_stays_until_reset(monitor: UncertaintyMonitor, model: Scripted):
    _last(monitor, 100)
    model.disagreement = 1e3
    assert _last(monitor, 20).level is MonitorLevel.LOST
    model.disagreement = 1.0
    assert _last(monitor, 1000).level is MonitorLevel.LOST
    monitor.gap()
    assert _last(monitor, 1).level is MonitorLevel.LOST
    monitor.reset()
    assert _last(monitor, 100).level is MonitorLevel.NORMAL


def test_caution_halves_the_command_in_steps_and_gives_it_back_more_slowly(
    monitor: UncertaintyMonitor, model: Scripted
):
    _last(monitor, 100)
    model.disagreement = 2.5
    shrinking = [reading.command_factor for reading in _steps(monitor, 60)]
    assert min(shrinking) == 0.5
    assert all(0.0 <= a - b <= 0.04 + 1e-9 for a, b in itertools.pairwise(shrinking))
    model.disagreement = 1.0
    growing = [reading.command_factor for reading in _steps(monitor, 200)]
    assert growing[-1] == 1.0
    assert all(b - a <= 0.01 + 1e-9 for a, b in itertools.pairwise(growing))


def test_lost_takes_the_command_to_nothing(monitor: UncertaintyMonitor, model: Scripted):
    _last(monitor, 100)
    model.disagreement = 1e3
    assert _last(monitor, 60).command_factor == 0.0


def test_after_a_gap_it_follows_the_history_anew(monitor: UncertaintyMonitor):
    _last(monitor, 100)
    monitor.gap()
    # The state moved while nobody looked: that is no surprise.
    reading = _last(monitor, 1, state=(1e6, 0.0))
    assert (reading.is_warm, reading.level) == (False, MonitorLevel.NORMAL)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_a_number_is_lost_within_a_fifth_of_a_second(
    monitor: UncertaintyMonitor, model: Scripted, bad: float
):
    _last(monitor, 100)
    model.disagreement = bad
    assert _last(monitor, 10).level is MonitorLevel.LOST


@pytest.mark.parametrize("dt_s", [0.0, -0.02, math.nan, math.inf])
def test_a_time_step_that_is_none_is_refused(
    monitor: UncertaintyMonitor, model: Scripted, dt_s: float
):
    with pytest.raises(ConfigError, match="allowed is above 0"):
        UncertaintyMonitor(model, monitor._calibration, dt_s)
