from __future__ import annotations

import math
import types

import numpy as np
import pytest

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.monitor_calibration import MonitorCalibration, Threshold
from rwmu_deploy.contract.one_step_forecast import OneStepForecast
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.runtime.data_guard import STOP_S, DataGuard, default_mode, guard_of
from rwmu_deploy.runtime.safety_monitor import SafetyState
from rwmu_deploy.runtime.uncertainty_monitor import MonitorLevel, UncertaintyMonitor

HISTORY = 4


class Scripted:
    """A world model that is never surprised, and as uncertain as the test tells it."""

    def __init__(self) -> None:
        self.disagreement = 1.0
        self.actions: list[np.ndarray] = []
        self.failure: Exception | None = None

    def empty_memory(self) -> tuple:
        return ()

    def step(self, state, action, memory) -> tuple[OneStepForecast, tuple]:
        if self.failure is not None:
            raise self.failure
        self.actions.append(np.array(action))
        spread = np.zeros(len(state))
        spread[0] = self.disagreement
        return OneStepForecast(np.zeros(len(state)), np.zeros(len(state)), spread, 0.0), ()


@pytest.fixture
def model() -> Scripted:
    return Scripted()


@pytest.fixture
def monitor(model: Scripted, spec: RobotSpec) -> UncertaintyMonitor:
    size = TransitionColumns.of(spec).state_size
    ordinary = MonitorCalibration(
        rows=10_000,
        quantile=0.9999,
        recorded_by="sim",
        history_rows=HISTORY,
        error_floor=np.ones(size),
        jump_limit=np.ones(size),
        drift_mean=np.zeros(size),
        drift_precision=np.eye(size),
        uncertainty=Threshold(2.0, 3.0),
        jump=Threshold(1.0, math.inf),
        drift=Threshold(1.0, 10.0),
    )
    return UncertaintyMonitor(model, ordinary, spec.control_dt_s)


def _walking(spec: RobotSpec, rig, guard: DataGuard | None):
    walking = type(rig)(spec, 0.1, guard)
    walking.walk()
    walking.loop.set_velocity_command((0.8, 0.2, -0.4), walking.clock.now_s())
    for _ in range(20):
        _tick(walking)
    return walking


def _tick(rig):
    rig.loop.set_velocity_command((0.8, 0.2, -0.4), rig.clock.now_s())
    return rig.tick()


def _ticks(rig, count: int) -> list:
    return [_tick(rig) for _ in range(count)]


def test_the_world_model_sees_the_action_that_is_sent(spec, rig, monitor, model):
    walking = _walking(spec, rig, DataGuard(monitor, acts=True))
    walking.policy.answer = lambda observation: np.full(12, 50.0)
    report = _tick(walking)
    assert model.actions[-1].tolist() == report.applied_action.tolist()
    assert np.abs(report.applied_action).max() < 50.0


def test_every_tick_of_the_policy_reports_what_the_monitor_says(spec, rig, monitor):
    walking = _walking(spec, rig, DataGuard(monitor, acts=False))
    (report,) = _ticks(walking, 1)
    assert report.monitor is not None
    assert (report.monitor.level, report.monitor.is_warm) == (MonitorLevel.NORMAL, True)
    assert all(r.monitor is None for r in walking.reports if r.phase == "stand_up")


def test_without_a_guard_there_is_nothing_to_report(spec, rig):
    assert _walking(spec, rig, None).report.monitor is None


def test_a_warning_changes_nothing_and_is_counted_once(spec, rig, monitor, model):
    walking = _walking(spec, rig, DataGuard(monitor, acts=False))
    model.disagreement = 1e3
    for report in _ticks(walking, 150):
        assert report.state is SafetyState.RUN
        assert report.velocity_command.tolist() == [0.8, 0.2, -0.4]
    assert walking.loop.counters["monitor_caution"] == 1
    assert walking.loop.counters["monitor_lost"] == 1


def test_acting_caution_halves_the_velocity_command(spec, rig, monitor, model):
    walking = _walking(spec, rig, DataGuard(monitor, acts=True))
    model.disagreement = 2.5
    report = _ticks(walking, 60)[-1]
    assert report.state is SafetyState.RUN
    assert report.velocity_command == pytest.approx([0.4, 0.1, -0.2])


def test_acting_a_lost_robot_stands_and_then_damps(spec, rig, monitor, model):
    walking = _walking(spec, rig, DataGuard(monitor, acts=True))
    model.disagreement = 1e3
    reports = []
    while not reports or reports[-1].state is SafetyState.RUN:
        reports.append(_tick(walking))
        assert len(reports) < 200
    lost = next(i for i, r in enumerate(reports) if r.monitor.level is MonitorLevel.LOST)
    assert (len(reports) - 1 - lost) * spec.control_dt_s == pytest.approx(STOP_S, abs=0.021)
    assert reports[-2].velocity_command.tolist() == [0.0, 0.0, 0.0]
    assert reports[-1].state is SafetyState.DAMP
    assert reports[-1].reasons[0].startswith("left_its_data: lost (uncertainty")


def test_arming_again_forgets_that_it_was_lost(spec, rig, monitor, model):
    walking = _walking(spec, rig, DataGuard(monitor, acts=True))
    model.disagreement = 1e3
    walking.tick_until(SafetyState.DAMP, most=200)
    model.disagreement = 1.0
    walking.loop.arm(walking.clock.now_s())
    reports = _ticks(walking, 200)
    assert {report.state for report in reports} == {SafetyState.RUN}


def test_acting_a_monitor_that_fails_is_a_robot_that_is_lost(spec, rig, monitor, model):
    walking = _walking(spec, rig, DataGuard(monitor, acts=True))
    model.failure = RuntimeError("no more memory")
    reports = _ticks(walking, 100)
    assert reports[1].velocity_command.tolist() == [0.0, 0.0, 0.0]
    assert reports[-1].state is SafetyState.DAMP
    assert walking.loop.counters["monitor_failed"] == 1
    assert "left_its_data: the monitor failed" in reports[-1].reasons


def test_warning_a_monitor_that_fails_stops_nobody(spec, rig, monitor, model):
    walking = _walking(spec, rig, DataGuard(monitor, acts=False))
    model.failure = RuntimeError("no more memory")
    reports = _ticks(walking, 150)
    assert {report.state for report in reports} == {SafetyState.RUN}
    assert reports[-1].monitor is None


def test_a_tick_without_a_new_measurement_is_followed_anew(spec, rig, monitor):
    walking = _walking(spec, rig, DataGuard(monitor, acts=False))
    kept = walking.link.latest_state()
    walking.link.sense = lambda state: kept
    assert _tick(walking).monitor is None
    walking.link.sense = lambda state: state
    warm = [report.monitor.is_warm for report in _ticks(walking, HISTORY + 1)]
    assert warm == [False] * HISTORY + [True]


def _bundle(spec: RobotSpec, monitor: UncertaintyMonitor | None, model: Scripted):
    return types.SimpleNamespace(
        name="walker",
        spec=spec,
        world_model=model if monitor else None,
        monitor_calibration=monitor._calibration if monitor else None,
    )


def test_a_bundle_without_a_world_model_can_only_do_without(spec, model):
    bundle = _bundle(spec, None, model)
    assert default_mode(bundle) == "off"
    assert guard_of(bundle, "off") is None
    with pytest.raises(ConfigError, match=r"has no world model on board.*--world-model"):
        guard_of(bundle, "warn")


def test_a_bundle_with_one_warns_unless_told_otherwise(spec, monitor, model):
    bundle = _bundle(spec, monitor, model)
    assert default_mode(bundle) == "warn"
    assert guard_of(bundle, "off") is None
    assert isinstance(guard_of(bundle, "act"), DataGuard)
    with pytest.raises(ConfigError, match="no monitor mode 'auto'; allowed are off, warn, act"):
        guard_of(bundle, "auto")


def test_no_command_waits_for_the_monitor(spec, rig, monitor, model, monkeypatch):
    walking = _walking(spec, rig, DataGuard(monitor, acts=True))
    sent_when_asked: list[int] = []
    step = model.step
    monkeypatch.setattr(
        model, "step", lambda *a: (sent_when_asked.append(len(walking.link.sent)), step(*a))[1]
    )
    before = len(walking.link.sent)
    _ticks(walking, 3)
    assert sent_when_asked == [before + 1, before + 2, before + 3]
