"""The 50 Hz grid."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.runtime.clock import ManualClock
from rwmu_deploy.runtime.ticker import PeriodStatistics, Ticker


def test_ticks_on_time_skip_nothing():
    ticker = Ticker(0.02, 5.0)
    deadlines = []
    for _ in range(4):
        deadlines.append(ticker.deadline_s)
        assert ticker.advance(ticker.deadline_s + 0.003).skipped == 0
    assert deadlines == pytest.approx([5.0, 5.02, 5.04, 5.06])
    assert ticker.overruns == 0


def test_late_tick_skips_whole_periods_and_keeps_phase():
    ticker = Ticker(0.02, 0.0)
    timing = ticker.advance(0.07)
    assert timing.skipped == 3
    assert timing.late_s == pytest.approx(0.07)
    assert ticker.deadline_s == pytest.approx(0.08)
    assert (ticker.overruns, ticker.skipped) == (1, 3)


def test_work_of_exactly_one_period_misses_that_grid_point():
    ticker = Ticker(0.02, 0.0)
    assert ticker.advance(0.02).skipped == 1
    assert ticker.deadline_s == pytest.approx(0.04)


def test_grid_does_not_drift_in_an_hour():
    ticker = Ticker(0.02, 0.1)
    for _ in range(180_000):
        assert ticker.advance(ticker.deadline_s).skipped == 0
    assert ticker.deadline_s == pytest.approx(3600.1, abs=1e-9)


@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=50))
def test_any_latencies_never_burst(work_s):
    ticker, start = Ticker(0.02, 1.0), 1.0
    for duration_s in work_s:
        end_s = start + duration_s
        skipped = ticker.advance(end_s).skipped
        following = ticker.deadline_s
        assert skipped == pytest.approx(math.floor(duration_s / 0.02 + 1e-6), abs=1e-9)
        assert following >= end_s - 1e-6
        assert following - start >= 0.02 - 1e-9
        phase = (following - 1.0) / 0.02
        assert abs(phase - round(phase)) < 1e-6
        start = following


@pytest.mark.parametrize("period_s", [0.0, -0.02, math.nan, math.inf])
def test_period_that_would_switch_the_grid_off_is_refused(period_s):
    with pytest.raises(ConfigError, match="period"):
        Ticker(period_s, 0.0)


def test_period_statistics_of_known_starts():
    statistics = PeriodStatistics(0.02)
    for start_s in (0.0, 0.02, 0.041, 0.058):
        statistics.record(start_s)
    errors = statistics.errors()
    assert errors.count == 3
    assert errors.median_s == pytest.approx(0.001)
    assert errors.max_s == pytest.approx(0.003)
    percentiles_s = statistics.percentiles_s()
    assert len(percentiles_s) == 101
    assert percentiles_s[50] == pytest.approx(0.001)
    assert percentiles_s[100] == pytest.approx(0.003)


def test_period_statistics_forget_old_periods_but_not_the_maximum():
    statistics = PeriodStatistics(1.0, capacity=10)
    starts = [0.0, 5.0] + [5.0 + k for k in range(1, 101)]
    for start_s in starts:
        statistics.record(start_s)
    errors = statistics.errors()
    assert errors.count == 101
    assert errors.p99_s == pytest.approx(0.0)
    assert errors.max_s == pytest.approx(4.0)


def test_no_period_yet_gives_zeros():
    assert PeriodStatistics(0.02).errors().count == 0


@pytest.mark.parametrize("seconds", [-1e-9, math.nan, math.inf])
def test_manual_clock_never_goes_back(seconds):
    clock = ManualClock(3.0)
    with pytest.raises(ConfigError):
        clock.advance(seconds)
    assert clock.now_s() == 3.0
