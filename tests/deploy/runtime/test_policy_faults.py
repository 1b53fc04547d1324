"""T-09, T-10, T-13: policies that fail, commands that ask for too much, operators that vanish."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_deploy.contract.observation import observation_size
from rwmu_deploy.runtime.loop_witness import LoopWitness
from rwmu_deploy.runtime.safety_monitor import SafetyState, Verdict

RUN, HOLD, DAMP, STOPPED = SafetyState
STAND = np.zeros(12)


def raising(*_, **__):
    raise ZeroDivisionError("injected")


ANSWERS = {
    "nan": lambda observation: np.full(12, np.nan),
    "wrong shape": lambda observation: np.zeros((12, 1)),
    "too large": lambda observation: np.full(12, 100.1),
    "raises": raising,
    "no array": lambda observation: None,
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_answer_that_is_none_is_bridged_twice_and_damps_the_third_time(light_rig, answer, trials):
    for seed in range(20):
        rig = light_rig(seed)
        rig.walk()
        rig.policy.answer = lambda observation: np.full(12, 0.1)
        rig.tick(seed + 1)
        kept_rad = rig.report.command.position_rad
        rig.policy.answer = ANSWERS[answer]
        for bad in range(1, 4):
            report = rig.tick()
            assert report.state is (DAMP if bad == 3 else RUN)
            assert report.raw_action is None
            np.testing.assert_array_equal(report.command.position_rad, kept_rad)
        trials("T-09", 1)


def test_hang_of_a_second_is_one_late_tick(light_rig, trials):
    for seed in range(20):
        rig = light_rig(seed)
        rig.walk()
        rig.policy.answer = lambda observation, rig=rig: rig.clock.advance(1.0) and STAND
        assert rig.tick().state is RUN
        rig.policy.answer = lambda observation: STAND
        assert rig.tick(skipped=50).state is RUN
        trials("T-09", 1)


STEPS = {
    "reading": "_gate.check",
    "judging": "_monitor.update",
    "lateness": "_late_ticks.verdicts",
    "velocity command": "_velocity.at",
    "observation": "_observations.verdict",
    "target": "_ramp.next_position_rad",
    "limiting": "_limiter.limit",
    "conditions": "_conditions",
    "reporting": "_velocity.is_stale",
}


@pytest.mark.parametrize("step", STEPS)
def test_exception_at_any_step_of_the_tick_ends_in_damping(light_rig, monkeypatch, step, trials):
    for seed in range(20):
        rig = light_rig(seed, conditions=list)
        rig.walk()
        rig.tick(seed + 1)
        if step == "target":
            rig.loop.disarm("test")
            rig.loop.arm(rig.clock.now_s())
        *path, name = STEPS[step].split(".")
        owner = rig.loop if not path else getattr(rig.loop, path[0])
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, raising)
            rig.clock.advance(0.02)
            rig.robot.advance(rig.clock.now_s())
            report = rig.step()
        assert report.state is STOPPED
        assert report.reasons[0].startswith("program_fault: ZeroDivisionError")
        assert rig.loop.counters["program_fault"] == 1
        assert rig.tick(10).command.is_damping, "and goes on damping"
        trials("T-09", 1)


def test_exception_while_sending_stops_and_tries_to_damp_again(light_rig, trials):
    for seed in range(20):
        rig = light_rig(seed)
        rig.walk()
        tried = []

        def fail_once(command, tried=tried):
            tried.append(command)
            if len(tried) == 1:
                raise OSError("injected")

        rig.link.on_send = fail_once
        report = rig.tick()
        assert report.state is STOPPED
        assert [command.is_damping for command in tried] == [False, True]
        trials("T-09", 1)


def test_exception_of_a_listener_disturbs_nothing(spec, light_rig, trials):
    for seed in range(20):
        rig = light_rig(seed)
        rig.walk()
        rig.loop._on_tick = lambda report: raising()
        rig.clock.advance(0.02)
        rig.robot.advance(rig.clock.now_s())
        assert rig.loop.tick(rig.clock.now_s()).state is RUN
        trials("T-09", 1)


@pytest.mark.parametrize(
    "at", ["tick_begins", "tick_ends", "look", "stopping", "counted", "arming", "disarmed"]
)
def test_a_witness_that_fails_keeps_no_damping_from_the_robot(light_rig, at, trials):
    """Whatever it fails at, the robot damps once somebody stops it, and in that very call."""
    witness = LoopWitness()
    rig = light_rig(witness=witness)
    rig.walk()
    setattr(witness, at, raising)
    rig.clock.advance(0.02)
    rig.robot.advance(rig.clock.now_s())
    report = rig.loop.tick(rig.clock.now_s())
    assert report.state is (STOPPED if at in ("tick_begins", "look") else RUN)
    already = rig.link.count
    rig.loop.stop("button")
    assert rig.link.count == already + 1
    assert rig.link.sent[-1].is_damping
    assert rig.loop.state is STOPPED
    trials("T-09", 1)


def test_a_condition_from_outside_holds_as_long_as_it_says(light_rig):
    said = []
    rig = light_rig(conditions=lambda: said)
    rig.walk()
    said.append(Verdict(HOLD, "log_failed", "the disk is full"))
    assert rig.tick(5).reasons == ("log_failed: the disk is full",)
    said.clear()
    assert rig.tick(25).state is HOLD
    assert rig.tick(2).state is RUN


def test_observation_of_another_world_damps_at_once_and_is_not_asked_about(spec, light_rig):
    size = observation_size(spec)
    zeros, ones = (0.0,) * size, (0.05,) * size
    rig = light_rig(observation_range=TrainingRange(zeros, zeros, zeros, ones))
    rig.walk()
    rig.loop.set_velocity_command([0.99, 0.0, 0.0], rig.clock.now_s())  # 19.8 sigma
    assert rig.tick().state is RUN
    asked = len(rig.policy.observations)
    rig.loop.set_velocity_command([0.99, 0.0, 1.0], rig.clock.now_s())
    rig.loop._observations._mean[0] = 1.1  # now the base velocity is 22 sigma away
    report = rig.tick()
    assert report.state is DAMP
    assert report.reasons[0].startswith("observation_far_from_training: entry 0 is 22 ")
    assert len(rig.policy.observations) == asked
    rig.loop._observations._mean[0] = np.nan
    rig.loop.disarm("test")
    assert rig.walk().state is DAMP, "what can't be compared is far"


numbers = st.floats(allow_nan=True, allow_infinity=True)
places = st.tuples(st.integers(0, 49), st.integers(0, 12))


@pytest.mark.parametrize("scale", [0.2, 5.0])
def test_any_fifty_answers_leave_every_command_finite_in_range_and_in_step(
    light_rig, scale, trials, count
):
    examples = count(250, 5000)

    @settings(max_examples=examples, deadline=None, derandomize=True)
    @given(odd=st.dictionaries(places, numbers, max_size=60), seed=st.integers(0, 2**32 - 1))
    def check(odd, seed):
        rng, rig = np.random.default_rng(seed), light_rig()
        rig.walk()
        for tick in range(50):
            answer = rng.normal(0.0, scale, 12)
            for joint in range(12):
                answer[joint] = odd.get((tick, joint), answer[joint])
            rig.policy.answer = lambda observation, a=answer: a
            # A time that stands still or goes back is an odd one too.
            step_s = odd.get((tick, 12), 0.02)
            rig.robot.advance(rig.clock.now_s())
            rig.step(rig.clock.now_s() + step_s)
            rig.clock.advance(0.02)
            if rig.report.state is DAMP:
                rig.loop.disarm("test")
                rig.robot.advance(rig.clock.now_s())
                rig.loop.arm(rig.clock.now_s())

    check()
    trials("T-10", examples)


def test_operator_who_falls_silent_stops_the_robot_within_half_a_second(light_rig, trials):
    for seed in range(20):
        rig = light_rig(seed)
        rig.walk()
        rng = np.random.default_rng(seed)
        rig.loop.set_velocity_command(rng.uniform(-1.0, 1.0, 3), rig.clock.now_s())
        asked = rig.tick().velocity_command
        sizes = [np.abs(rig.tick().velocity_command) for _ in range(51)]
        np.testing.assert_allclose(sizes[23], np.abs(asked), atol=1e-12)
        assert (np.diff(sizes, axis=0) <= 1e-12).all(), "it never grows by itself"
        assert (np.abs(np.diff(sizes, axis=0)) <= 0.041).all(), "and never jumps"
        np.testing.assert_array_equal(sizes[50], np.zeros(3))
        assert rig.report.state is RUN
        trials("T-13", 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, 100.0, -100.0])
def test_operator_who_asks_for_the_impossible_gets_the_trained_range_or_nothing(
    light_rig, value, trials
):
    for entry in range(3):
        rig = light_rig()
        rig.walk()
        command = np.zeros(3)
        command[entry] = value
        rig.loop.set_velocity_command(command, rig.clock.now_s())
        seen = rig.tick().velocity_command
        lower, upper = (-0.5, -0.3, -1.0), (1.0, 0.3, 1.0)
        expected = 0.0 if not np.isfinite(value) else (upper if value > 0 else lower)[entry]
        np.testing.assert_array_equal(seen, np.eye(3)[entry] * expected)
        trials("T-13", 1)


def test_flood_of_commands_is_the_last_of_them(light_rig, trials):
    rig = light_rig()
    rig.walk()
    for tick in range(100):
        for i in range(20):  # 1 kHz
            rig.loop.set_velocity_command([(i + tick % 3) / 100.0, 0.0, 0.0], rig.clock.now_s())
        assert rig.tick().velocity_command[0] == pytest.approx((19 + tick % 3) / 100.0)
    trials("T-13", 1)
