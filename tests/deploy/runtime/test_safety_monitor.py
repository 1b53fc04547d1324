"""RUN, HOLD, DAMP, STOPPED."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rwmu_deploy.contract.robot_state import gravity_in_base
from rwmu_deploy.runtime.safety_monitor import (
    SafetyMonitor,
    SafetyState,
    Verdict,
    has_fallen,
    roll_pitch_rad,
    sensor_verdicts,
)
from rwmu_deploy.runtime.sensor_gate import SensorReading

RUN, HOLD, DAMP, STOPPED = SafetyState
HOLD_VERDICT = Verdict(HOLD, "test_hold", "1 above 0")
DAMP_VERDICT = Verdict(DAMP, "test_damp", "2 above 0")
STOP_VERDICT = Verdict(STOPPED, "test_stop", "3 above 0")


def reading(state, age_s=0.0, bad_in_a_row=0):
    return SensorReading(state, True, age_s, bad_in_a_row, None, 0.0, "imu")


def quaternion(roll, pitch):
    cr, sr, cp, sp = (f(a / 2) for a in (roll, pitch) for f in (math.cos, math.sin))
    return np.array([cr * cp, sr * cp, cr * sp, -sr * sp])


def states_of(verdicts):
    return {verdict.fault: verdict.state for verdict in verdicts}


@pytest.mark.parametrize("roll", [-3.0, -0.9, 0.0, 0.4, 2.0])
@pytest.mark.parametrize("pitch", [-1.4, -0.3, 0.0, 1.2])
def test_roll_and_pitch_come_back_from_gravity(roll, pitch):
    found = roll_pitch_rad(gravity_in_base(quaternion(roll, pitch)))
    assert found == pytest.approx((roll, pitch), abs=1e-9)


def test_healthy_robot_has_no_verdict(spec, upright):
    assert sensor_verdicts(spec, reading(upright)) == []


def test_no_measurement_at_all_damps(spec):
    assert states_of(sensor_verdicts(spec, reading(None, math.inf))) == {"sensor_age": DAMP}


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [
        (0.06, None),
        (0.0601, HOLD),
        (0.1, HOLD),
        (0.1001, DAMP),
        (math.inf, DAMP),
        (math.nan, DAMP),
    ],
)
def test_sensor_age_thresholds(spec, upright, age_s, expected):
    found = states_of(sensor_verdicts(spec, reading(upright, age_s)))
    assert found.get("sensor_age") is expected


@pytest.mark.parametrize(("bad", "expected"), [(0, None), (2, None), (3, DAMP)])
def test_third_bad_sample_in_a_row_damps(spec, upright, bad, expected):
    found = states_of(sensor_verdicts(spec, reading(upright, bad_in_a_row=bad)))
    assert found.get("bad_sensor_samples") is expected


@pytest.mark.parametrize(
    ("roll", "pitch", "fallen"),
    [(0.89, 0, False), (-0.91, 0, True), (0, 1.29, False), (0, 1.31, True), (math.pi, 0, True)],
)
def test_tilt_beyond_roll_09_or_pitch_13_is_a_fall(spec, upright, roll, pitch, fallen):
    gravity = gravity_in_base(quaternion(roll, pitch))
    verdicts = sensor_verdicts(spec, reading(replace(upright, projected_gravity=gravity)))
    assert has_fallen(verdicts) is fallen
    assert (DAMP in [verdict.state for verdict in verdicts]) is fallen


@pytest.mark.parametrize("joint", range(12))
@pytest.mark.parametrize("side", ["lower_rad", "upper_rad"])
@pytest.mark.parametrize(("beyond", "expected"), [(0.249, None), (0.251, HOLD), (0.401, DAMP)])
def test_joint_outside_its_range(spec, upright, with_value, joint, side, beyond, expected):
    limit = getattr(spec, side)[joint]
    value = limit + (beyond if side == "upper_rad" else -beyond)
    state = with_value(upright, "joint_position_rad", joint, value)
    found = states_of(sensor_verdicts(spec, reading(state)))
    assert found.get("joint_outside_range") is expected


@pytest.mark.parametrize(
    ("field", "fault", "limit"),
    [
        ("joint_velocity_radps", "joint_velocity", 20.0),
        ("base_angular_velocity_radps", "base_angular_velocity", 6.0),
    ],
)
@pytest.mark.parametrize("sign", [-1, 1])
def test_too_fast_damps(spec, upright, with_value, field, fault, limit, sign):
    for value, expected in ((limit - 0.01, None), (limit + 0.01, DAMP)):
        state = with_value(upright, field, 1, sign * value)
        assert states_of(sensor_verdicts(spec, reading(state))).get(fault) is expected


@pytest.mark.parametrize(
    ("before", "verdicts", "after"),
    [
        (RUN, [], RUN),
        (RUN, [HOLD_VERDICT], HOLD),
        (RUN, [DAMP_VERDICT], DAMP),
        (RUN, [HOLD_VERDICT, DAMP_VERDICT], DAMP),
        (HOLD, [], HOLD),
        (HOLD, [HOLD_VERDICT], HOLD),
        (HOLD, [DAMP_VERDICT, HOLD_VERDICT], DAMP),
        (DAMP, [], DAMP),
        (DAMP, [HOLD_VERDICT], DAMP),
        (RUN, [HOLD_VERDICT, STOP_VERDICT], STOPPED),
        (DAMP, [STOP_VERDICT], STOPPED),
        (STOPPED, [], STOPPED),
        (STOPPED, [DAMP_VERDICT], STOPPED),
    ],
)
def test_worst_verdict_wins_and_damp_latches(before, verdicts, after, trials):
    monitor = SafetyMonitor(0.5)
    if before is not DAMP:
        monitor.arm()
    if before is HOLD:
        monitor.update(0.0, [HOLD_VERDICT])
    if before is STOPPED:
        monitor.stop("button")
    assert monitor.decision.state is before
    assert monitor.update(0.1, verdicts).state is after
    trials("T-11", 1)


@pytest.mark.parametrize("later", [[], [HOLD_VERDICT], [DAMP_VERDICT]])
def test_a_verdict_of_stopped_is_final(later):
    monitor = SafetyMonitor(0.5)
    monitor.arm()
    monitor.update(0.0, [STOP_VERDICT])
    monitor.arm()
    decision = monitor.update(9.0, later)
    assert decision.state is STOPPED
    assert decision.reasons == ("test_stop: 3 above 0",)


def test_only_the_worst_reasons_are_given():
    monitor = SafetyMonitor(0.5)
    monitor.arm()
    decision = monitor.update(0.0, [HOLD_VERDICT, DAMP_VERDICT])
    assert decision.reasons == ("test_damp: 2 above 0",)


def test_hold_recovers_after_half_a_second_of_health_in_one_piece():
    monitor = SafetyMonitor(0.5)
    monitor.arm()
    monitor.update(0.0, [HOLD_VERDICT])
    for k in range(1, 20):
        assert monitor.update(0.02 * k, []).state is HOLD
    monitor.update(0.4, [HOLD_VERDICT])
    states = [monitor.update(0.42 + 0.02 * k, []).state for k in range(26)]
    assert states == [HOLD] * 25 + [RUN]


def test_first_reason_of_a_stop_stays():
    monitor = SafetyMonitor(0.5)
    monitor.stop("button")
    monitor.stop("link lost")
    assert monitor.decision.reasons == ("button",)


def test_not_armed_is_damp():
    assert SafetyMonitor(0.5).decision.state is DAMP


class MonitorMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.monitor = SafetyMonitor(0.5)
        self.now_s = 0.0
        self.before = DAMP
        self.healthy_s = 0.0
        self.armed = False

    def after(self):
        state = self.monitor.decision.state
        if self.before is STOPPED:
            assert state is STOPPED
        elif self.before is DAMP and not self.armed:
            assert state >= DAMP
        elif self.before is HOLD and state is RUN:
            assert self.armed or self.healthy_s >= 0.5 - 1e-6
        self.before, self.armed = state, False

    @rule(
        dt=st.floats(0.0, 0.3),
        verdicts=st.lists(st.sampled_from([HOLD_VERDICT, DAMP_VERDICT]), max_size=2),
    )
    def update(self, dt, verdicts):
        self.now_s += dt
        self.healthy_s = 0.0 if verdicts else self.healthy_s + dt
        state = self.monitor.update(self.now_s, verdicts).state
        assert state >= max((v.state for v in verdicts), default=RUN)
        self.after()

    @precondition(lambda self: self.before is DAMP)
    @rule()
    def arm(self):
        self.monitor.arm()
        self.armed, self.healthy_s = True, 0.0
        self.after()

    @rule()
    def damp(self):
        self.monitor.damp("asked to")
        assert self.monitor.decision.state >= DAMP
        self.after()

    @precondition(lambda self: self.now_s > 1.0)
    @rule()
    def stop(self):
        self.monitor.stop("button")
        assert self.monitor.decision.state is STOPPED
        self.after()

    @invariant()
    def has_a_reason_unless_running(self):
        decision = self.monitor.decision
        assert (decision.state is RUN) == (decision.reasons == ())


def test_no_sequence_of_fifty_events_makes_it_milder_without_a_reason(count, trials):
    runs = count(500, 10_000)
    run_state_machine_as_test(
        MonitorMachine,
        settings=settings(
            max_examples=runs, stateful_step_count=50, deadline=None, derandomize=True
        ),
    )
    trials("T-11", runs)
