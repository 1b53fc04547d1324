"""The tick, on the simulated robot; `rig.tick` checks the universal promises every time."""

from dataclasses import replace

import numpy as np
import pytest

from rwmu_deploy.contract.action import action_bounds, target_from_action
from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.observation import observation_terms
from rwmu_deploy.runtime.control_loop import ControlLoop
from rwmu_deploy.runtime.safety_monitor import SafetyState
from rwmu_deploy.runtime.stand_up import supporting_position_rad

RUN, HOLD, DAMP, STOPPED = SafetyState


def entries(spec, observation, name):
    return observation[next(t.slice for t in observation_terms(spec) if t.name == name)]


def test_before_arming_every_tick_damps(rig):
    report = rig.tick(3)
    assert (report.phase, report.state) == ("disarmed", DAMP)
    assert report.command.is_damping
    assert rig.policy.observations == []


def test_arming_ramps_from_what_holds_the_robot_to_the_default_pose(rig, spec):
    found = supporting_position_rad(spec, rig.robot.latest_state())
    rig.loop.arm(rig.clock.now_s())
    first = rig.tick()
    assert first.phase == "stand_up"
    np.testing.assert_allclose(first.command.position_rad, found, atol=1e-12)
    last = rig.tick(5)
    np.testing.assert_allclose(last.command.position_rad, spec.default_position_rad, atol=1e-12)
    assert last.phase == "stand_up"
    assert rig.tick().phase == "policy"


def test_first_observation_of_the_policy_is_what_was_measured_and_commanded(rig, spec):
    rig.loop.set_velocity_command([0.4, -0.1, 0.2], rig.clock.now_s())
    report = rig.walk()
    state, observation = report.robot_state, rig.policy.observations[0]
    assert observation.dtype == np.float32
    assert observation.shape == (48,)
    offset = state.joint_position_rad - spec.default_position_rad
    for name, expected in (
        ("base_linear_velocity_mps", state.base_linear_velocity_mps),
        ("projected_gravity", state.projected_gravity),
        ("velocity_command", [0.4, -0.1, 0.2]),
        ("joint_position_offset_rad", offset),
        ("joint_velocity_radps", state.joint_velocity_radps),
        ("last_action", np.zeros(12)),
    ):
        np.testing.assert_allclose(
            entries(spec, observation, name), expected, rtol=1e-6, atol=1e-7, err_msg=name
        )
    assert report.observation is observation


def test_last_action_is_the_applied_one_of_the_previous_tick(rig, spec):
    rig.walk()
    action = np.linspace(-0.2, 0.2, 12)
    rig.policy.answer = lambda observation: action
    report = rig.tick()
    np.testing.assert_allclose(report.applied_action, action, atol=1e-12)
    np.testing.assert_allclose(report.command.position_rad, target_from_action(spec, action))
    observed = entries(spec, rig.tick().observation, "last_action")
    np.testing.assert_allclose(observed, action, rtol=1e-6)


def test_action_beyond_the_joint_range_is_applied_as_its_clipped_self(rig, spec):
    rig.walk()
    wanted = action_bounds(spec)[1][0] + 1.0
    rig.policy.answer = lambda observation: np.eye(12)[0] * wanted
    rig.tick()
    report = rig.tick()
    assert report.raw_action[0] == wanted
    assert report.applied_action[0] == pytest.approx(0.6108655 / 0.5)


def test_policy_shouting_full_scale_noise_never_breaks_a_promise(rig):
    rng = np.random.default_rng(3)
    rig.walk()
    rig.policy.answer = lambda observation: rng.normal(0.0, 30.0, 12)
    for _ in range(100):
        rig.tick()
    assert rig.loop.counters, "such a robot ends up in trouble, and it is counted"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_unusable_action_keeps_the_previous_command_and_the_third_in_a_row_damps(rig, value):
    rig.walk()
    rig.policy.answer = lambda observation: np.full(12, 0.1)
    rig.tick()
    rig.policy.answer = lambda observation: np.full(12, 0.1) * value
    for _ in range(2):
        report = rig.tick()
        assert report.state is RUN
        np.testing.assert_allclose(report.applied_action, np.full(12, 0.1), atol=1e-12)
    report = rig.tick()
    assert report.state is DAMP
    assert "policy_output_unusable" in report.reasons[0]
    assert rig.loop.counters["policy_output_unusable"] == 3


def test_one_good_action_ends_the_count_of_bad_ones(rig):
    rig.walk()
    for _ in range(5):
        rig.policy.answer = lambda observation: np.full(12, np.nan)
        assert rig.tick(2).state is RUN
        rig.policy.answer = lambda observation: np.zeros(12)
        assert rig.tick().state is RUN
    assert rig.loop.counters["policy_output_unusable"] == 10


def test_policy_that_raises_or_answers_in_another_shape_damps_in_three_ticks(rig):
    def raise_error(observation):
        raise ValueError("no such joint")

    rig.walk()
    for answer, fault in (
        (raise_error, "policy_raised"),
        (lambda observation: np.zeros(11), "policy_output_unusable"),
        (lambda observation: "left", "policy_raised"),
    ):
        rig.policy.answer = answer
        assert rig.tick_until(DAMP) == 3
        assert fault in rig.report.reasons[0]
        rig.policy.answer = lambda observation: np.zeros(12)
        rig.walk()
        assert rig.report.state is RUN


@pytest.mark.parametrize("fails_at", ["gate", "limiter", "velocity"])
def test_fault_of_our_own_in_a_tick_stops_with_damping(rig, monkeypatch, fails_at):
    def fail(*_):
        raise ZeroDivisionError("ours")

    rig.walk()
    target = {"gate": "_gate", "limiter": "_limiter", "velocity": "_velocity"}[fails_at]
    method = {"gate": "check", "limiter": "limit", "velocity": "at"}[fails_at]
    monkeypatch.setattr(getattr(rig.loop, target), method, fail)
    rig.clock.advance(0.02)
    report = rig.loop.tick(rig.clock.now_s())
    assert report.state is STOPPED
    assert rig.link.sent[-1].is_damping
    assert rig.loop.counters["program_fault"] == 1


@pytest.mark.parametrize("length", range(1, 9))
def test_lost_sensors_hold_from_four_ticks_and_damp_from_six(rig, length):
    rig.walk()
    frozen = rig.robot.latest_state()
    rig.link.sense = lambda state: frozen
    states = [rig.tick().state for _ in range(length)]
    assert states == [RUN, RUN, RUN, HOLD, HOLD, DAMP, DAMP, DAMP][:length]
    rig.link.sense = lambda state: state
    after = rig.tick().state
    assert after is states[-1]


def test_hold_keeps_the_last_position_and_asks_for_no_velocity_then_recovers(rig):
    rig.loop.set_velocity_command([0.4, 0.0, 0.0], rig.clock.now_s())
    rig.walk()
    rig.policy.answer = lambda observation: np.full(12, 0.05)
    held = rig.tick().command.position_rad
    frozen = rig.robot.latest_state()
    rig.link.sense = lambda state: frozen
    rig.tick_until(HOLD)
    rig.link.sense = lambda state: state
    rig.policy.answer = lambda observation: np.full(12, -0.05)
    for _ in range(25):
        report = rig.tick()
        assert report.state is HOLD
        assert report.observation is None
        np.testing.assert_array_equal(report.velocity_command, np.zeros(3))
        np.testing.assert_allclose(report.command.position_rad, held)
    assert rig.tick().state is RUN


def test_one_bad_sample_is_bridged_and_three_in_a_row_damp(rig):
    def broken(state):
        values = state.joint_position_rad.copy()
        values[3] = np.nan
        return replace(state, joint_position_rad=values)

    rig.walk()
    good = rig.robot.latest_state()
    rig.link.sense = broken
    for _ in range(2):
        report = rig.tick()
        assert (report.state, report.fresh, report.robot_state) == (RUN, False, good)
        assert np.isfinite(report.observation).all()
    assert rig.tick().state is DAMP
    assert rig.loop.counters["sensor_not_finite"] == 3


def test_link_that_raises_while_reading_ages_into_damp(rig):
    def fail(state):
        raise OSError("cable")

    rig.walk()
    rig.link.sense = fail
    assert rig.tick_until(DAMP) == 6
    assert rig.loop.counters["link_read_failed"] == 6


def test_link_that_raises_while_sending_stops_for_good(rig):
    def fail(command):
        raise OSError("cable")

    rig.walk()
    rig.link.on_send = fail
    rig.clock.advance(0.02)
    rig.robot.advance(rig.clock.now_s())
    report = rig.loop.tick(rig.clock.now_s())
    assert report.state is STOPPED
    assert report.command.is_damping
    assert rig.loop.counters["link_send_failed"] == 2


def test_fall_damps_is_reported_and_needs_arming(rig):
    tilted = np.array([0.0, -np.sin(1.0), -np.cos(1.0)])
    rig.walk()
    rig.link.sense = lambda state: replace(state, projected_gravity=tilted)
    report = rig.tick()
    assert (report.fell, report.state) == (True, DAMP)
    rig.link.sense = lambda state: state
    report = rig.tick(100)
    assert (report.fell, report.state) == (False, DAMP)


def test_arming_again_after_damp_stands_up_again(rig):
    rig.walk()
    rig.loop.disarm("operator")
    rig.tick(3)
    assert rig.report.phase == "disarmed"
    assert rig.walk().state is RUN


def test_clock_going_back_damps(rig):
    rig.walk()
    report = rig.loop.tick(rig.clock.now_s() - 1.0)
    assert report.state is DAMP
    assert rig.loop.counters["clock_went_back"] == 1


def test_time_that_is_not_a_number_damps(rig):
    rig.walk()
    assert rig.loop.tick(np.nan).state is DAMP
    assert rig.link.sent[-1].is_damping


class TestArming:
    def test_without_a_measurement_is_refused(self, rig):
        rig.link.sense = lambda state: None
        with pytest.raises(RobotLinkError, match="sensor_age"):
            rig.loop.arm(rig.clock.now_s())
        assert rig.loop.state is DAMP

    def test_on_an_old_measurement_is_refused(self, rig):
        with pytest.raises(RobotLinkError, match="sensor_age"):
            rig.loop.arm(rig.clock.now_s() + 0.07)

    @pytest.mark.parametrize(
        ("field", "value", "named"),
        [
            ("joint_position_rad", np.full(12, 3.0), "joint_outside_range"),
            ("joint_velocity_radps", np.full(12, 21.0), "joint_velocity"),
            ("projected_gravity", np.array([0.0, 1.0, 0.0]), "tilt_roll"),
            ("joint_torque_nm", np.full(12, np.nan), "sensor"),
        ],
    )
    def test_on_an_unfit_robot_is_refused_with_the_reason(self, rig, field, value, named):
        rig.link.sense = lambda state: replace(state, **{field: value})
        with pytest.raises(RobotLinkError, match=named):
            rig.loop.arm(rig.clock.now_s())
        assert rig.tick().command.is_damping

    def test_while_running_is_refused_and_changes_nothing(self, rig):
        rig.walk()
        with pytest.raises(RobotLinkError, match="RUN already"):
            rig.loop.arm(rig.clock.now_s())
        assert rig.tick().phase == "policy"

    def test_after_a_stop_is_refused(self, rig):
        rig.loop.stop("button")
        with pytest.raises(RobotLinkError, match="button"):
            rig.loop.arm(rig.clock.now_s())


class TestStop:
    def test_sends_damping_at_once_and_every_tick_after(self, rig):
        rig.walk()
        sent = len(rig.link.sent)
        rig.loop.stop("button")
        assert len(rig.link.sent) == sent + 1
        assert rig.link.sent[-1].is_damping
        for _ in range(50):
            report = rig.tick()
            assert (report.state, report.reasons) == (STOPPED, ("button",))

    @pytest.mark.parametrize("moment", ["reading", "policy"])
    def test_in_mid_tick_lets_no_position_command_follow(self, rig, moment):
        def press(value):
            rig.loop.stop("button")
            return value

        rig.walk()
        if moment == "reading":
            rig.link.sense = press
        else:
            rig.policy.answer = lambda observation: press(np.zeros(12))
        sent = len(rig.link.sent)
        rig.clock.advance(0.02)
        rig.robot.advance(rig.clock.now_s())
        report = rig.loop.tick(rig.clock.now_s())
        assert [command.is_damping for command in rig.link.sent[sent:]] == [True, True]
        assert report.state is STOPPED

    def test_by_a_signal_handler_inside_sending_is_followed_by_damping(self, rig):
        def press_once(command):
            rig.link.on_send = lambda command: None
            rig.loop.stop("signal")

        rig.walk()
        rig.link.on_send = press_once
        rig.clock.advance(0.02)
        rig.robot.advance(rig.clock.now_s())
        report = rig.loop.tick(rig.clock.now_s())
        assert rig.link.sent[-1].is_damping
        assert report.command is rig.link.sent[-1]

    def test_works_on_a_link_that_fails(self, rig):
        def fail(command):
            raise OSError("cable")

        rig.link.on_send = fail
        rig.loop.stop("button")
        assert rig.loop.state is STOPPED
        assert rig.loop.reasons == ("button",)


class TestVelocityCommand:
    def test_is_followed_while_fresh_and_ramps_to_zero_when_stale(self, rig):
        rig.walk()
        rig.loop.set_velocity_command([0.6, 0.0, 0.0], rig.clock.now_s())
        followed = [rig.tick().velocity_command[0] for _ in range(60)]
        np.testing.assert_allclose(followed[:25], 0.6)
        np.testing.assert_allclose(followed[34], 0.36)
        np.testing.assert_allclose(followed[50:], 0.0, atol=1e-9)
        assert rig.report.state is RUN
        assert rig.loop.counters["velocity_command_stale"] == 35

    def test_beyond_the_trained_range_is_clipped(self, rig):
        rig.walk()
        rig.loop.set_velocity_command([100.0, -100.0, 0.5], rig.clock.now_s())
        np.testing.assert_allclose(rig.tick().velocity_command, [1.0, -0.3, 0.5])

    def test_that_is_not_finite_is_ignored_and_counted(self, rig):
        rig.walk()
        rig.loop.set_velocity_command([0.3, 0.0, 0.0], rig.clock.now_s())
        rig.loop.set_velocity_command([np.nan, 0.0, 0.0], rig.clock.now_s())
        np.testing.assert_allclose(rig.tick().velocity_command, [0.3, 0.0, 0.0])
        assert rig.loop.counters["velocity_command_unusable"] == 1


def test_listener_that_raises_disturbs_nothing_and_is_counted(rig, spec):
    def fail(report):
        raise RuntimeError("disk")

    loop = ControlLoop(
        spec, rig.policy, rig.link, command_range=rig.loop._velocity._range, on_tick=fail
    )
    loop.arm(rig.clock.now_s())
    assert loop.tick(rig.clock.now_s()).state is RUN
    assert loop.counters == {"on_tick_failed": 1}


def test_random_faults_for_half_a_minute_break_no_promise(rig):
    rng = np.random.default_rng(11)
    frozen = None

    def sense(state):
        nonlocal frozen
        kind = rng.random()
        if kind < 0.90:
            frozen = state
            return state
        if kind < 0.94:
            return frozen
        if kind < 0.96:
            return None
        field = rng.choice(["joint_position_rad", "joint_velocity_radps", "projected_gravity"])
        values = getattr(state, field).copy()
        values[rng.integers(len(values))] = rng.choice([np.nan, np.inf, 1e30, -0.0, 2.5])
        return replace(state, **{field: values})

    def answer(observation):
        assert np.isfinite(observation).all()
        assert np.abs(observation).max() < 100.0
        return rng.normal(0.0, 0.3, 12) if rng.random() < 0.95 else np.full(12, np.nan)

    rig.link.sense, rig.policy.answer = sense, answer
    armed = 0
    for _ in range(1500):
        if rig.loop.state is DAMP and rng.random() < 0.2:
            try:
                rig.loop.arm(rig.clock.now_s())
                armed += 1
            except RobotLinkError:
                rig.robot.reset()
                rig.tick(5)
        rig.tick()
    assert armed > 3
    assert len(rig.policy.observations) > 200
    assert {"sensor_not_finite", "policy_output_unusable"} <= rig.loop.counters.keys()
