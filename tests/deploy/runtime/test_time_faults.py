"""T-06 to T-08: clocks that jump, ticks that come late, and a machine that is too slow."""

import ast
import itertools
from pathlib import Path

import numpy as np
import pytest

import rwmu_deploy.runtime as runtime
from rwmu_deploy.runtime.loop_thread import LoopThread
from rwmu_deploy.runtime.safety_monitor import SafetyState

RUN, HOLD, DAMP, STOPPED = SafetyState
PERIOD_S = 0.02


class Timeline:
    """A loop thread on a manual clock: waits by turning the clock, and notes when ticks began."""

    def __init__(self, rig, work_s=lambda tick: 0.0, *, in_policy=False):
        self.rig = rig
        self.started_s = []
        self._work_s = work_s
        rig.walk()
        self.grid_s = rig.clock.now_s()
        if in_policy:
            rig.policy.answer = lambda observation: self._work() or np.zeros(12)
        self._in_policy = in_policy
        self.thread = LoopThread(rig.loop, PERIOD_S, clock=rig.clock, before_tick=self._before)

    def run(self, ticks):
        for _ in range(ticks):
            self.rig.clock.advance(max(0.0, self.thread.deadline_s - self.rig.clock.now_s()))
            self.thread.step()
        return self.rig.report

    def _before(self, now_s):
        self.started_s.append(now_s)
        self.rig.robot.advance(now_s)
        if not self._in_policy:
            self._work()

    def _work(self):
        self.rig.clock.advance(self._work_s(len(self.started_s) - 1))


def test_runtime_reads_no_wall_clock():
    for path in Path(runtime.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "time":
                assert node.attr in {"monotonic", "sleep"}, f"{path.name}: time.{node.attr}"
            if isinstance(node, ast.Name):
                assert node.id != "datetime" or path.name.startswith("flight_"), path.name


def test_any_step_back_of_the_clock_damps(light_rig, trials):
    rng, rig = np.random.default_rng(1), light_rig()
    for _ in range(1000):
        rig.walk()
        back_s = rng.choice([1e-3, 0.02, 1.0, 3600.0, 1.7e9])
        report = rig.step(rig.clock.now_s() - back_s)
        assert report.state is DAMP
        assert report.reasons[0].startswith("clock_went_back")
        rig.tick()
        rig.loop.disarm("test")
    trials("T-06", 1000)


@pytest.mark.parametrize("spike_ms", [5, 15, 25, 50, 200, 1000])
def test_spike_skips_whole_periods_without_a_burst_and_keeps_the_grid(light_rig, spike_ms, trials):
    for phase in range(20):
        base_s = phase * 0.0009
        line = Timeline(
            light_rig(phase),
            lambda tick, base_s=base_s: base_s + (spike_ms / 1e3 if tick == 10 else 0.0),
            in_policy=True,
        )
        line.run(30)
        busy_s = base_s + spike_ms / 1e3
        expected = int(np.floor(busy_s / PERIOD_S + 1e-6))
        assert line.thread.skipped == expected
        started_s = np.array(line.started_s)
        periods = np.diff(started_s) / PERIOD_S
        assert periods[10] == pytest.approx(1 + expected, abs=1e-6)
        assert np.delete(periods, 10) == pytest.approx(1.0, abs=1e-6), "no tick came in a burst"
        off_grid_s = (started_s - line.grid_s) / PERIOD_S
        assert np.abs(off_grid_s - np.round(off_grid_s)).max() * PERIOD_S < 1e-6
        # One late tick is bridged; a loop that was silent for longer than the watchdog's 0.1 s
        # stops, even where it comes back before the watchdog does.
        silent_s = PERIOD_S - base_s + busy_s
        assert line.rig.report.state is (RUN if silent_s <= 0.1 else STOPPED)
        trials("T-07", 1)


@pytest.mark.parametrize("work_ms", [21, 30, 45])
@pytest.mark.parametrize("in_policy", [True, False])
def test_steady_overload_holds_within_200_ms_and_does_not_flap(
    light_rig, work_ms, in_policy, trials
):
    line = Timeline(light_rig(), lambda tick: work_ms / 1e3, in_policy=in_policy)
    states, began_s = [], line.rig.clock.now_s()
    while line.rig.clock.now_s() - began_s < 10.0:
        states.append((line.rig.clock.now_s() - began_s, line.run(1).state))
    first_hold_s = next(t for t, state in states if state is HOLD)
    assert first_hold_s <= 0.2
    recoveries = sum(a is HOLD and b is RUN for (_, a), (_, b) in itertools.pairwise(states))
    assert recoveries <= (10 if in_policy else 0)
    assert {state for _, state in states} == {RUN, HOLD}
    trials("T-08", 1)


def test_late_ticks_hold_on_the_third_in_a_row_and_on_the_fifth_in_a_second(light_rig, trials):
    rig = light_rig()
    rig.walk()
    for expected in (RUN, RUN, HOLD):
        assert rig.tick(skipped=1, period_s=2 * PERIOD_S).state is expected
    assert rig.tick(76).state is RUN, "a second without one, and half a second of health"
    for late in range(1, 6):
        assert rig.tick(8).state is RUN
        assert rig.tick(skipped=1, period_s=2 * PERIOD_S).state is (HOLD if late == 5 else RUN)
    # The third, all within a second of it, and the fifth.
    assert rig.loop.counters["late_ticks"] == 1 + 49 + 1
    trials("T-08", 2)
