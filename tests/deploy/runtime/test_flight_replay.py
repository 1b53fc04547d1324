"""Whatever happened to a loop, its flight decides again in the same way, to the last bit."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_loop import RANGE, Drawn

from rwmu_deploy.collection.flight_file import flight_to_bytes, read_flight
from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import RobotState
from rwmu_deploy.runtime.flight_record import Flight, FlightFacts
from rwmu_deploy.runtime.flight_recorder import FlightRecorder
from rwmu_deploy.runtime.flight_replay import action_difference, replay_flight
from rwmu_deploy.runtime.safety_monitor import SafetyState

RUN, HOLD, DAMP, STOPPED = SafetyState


def through_a_file(flight: Flight, folder: Path) -> Flight:
    path = folder / "flight.npz"
    path.write_bytes(flight_to_bytes(flight))
    return read_flight(path)


def must_replay(flight: Flight, folder: Path) -> Flight:
    for found in (flight, read := through_a_file(flight, folder)):
        replay = replay_flight(found)
        assert replay.differences[:1] == [], flight.triggers
        assert len(replay.reports) == len(found.ticks)
    return read


def test_whatever_chance_does_is_replayed_to_the_last_bit(spec, upright, tmp_path, count, trials):
    plans, ticks = count(30, 500), 200
    states: set[SafetyState] = set()
    faults: set[str] = set()
    stops_in_mid_tick = 0
    for seed in range(plans):
        drawn = Drawn(spec, upright, seed, danger=(0.005, 0.02, 0.08)[seed // 3 % 3])
        flight = must_replay(drawn.run(ticks), tmp_path)
        states |= {tick.report.state for tick in flight.ticks}
        faults |= {fault for tick in flight.ticks for fault in tick.faults}
        stops_in_mid_tick += any((tick.stop_look or 0) > 0 for tick in flight.ticks)
    assert states == set(SafetyState)
    assert stops_in_mid_tick > plans / 10
    wanted = """sensor_not_finite sensor_wrong_size sensor_out_of_order sensor_stamp_in_future
        gravity_norm sensor_age tilt_roll policy_raised policy_output_unusable link_read_failed
        link_send_failed clock_went_back late_ticks left_its_data log_failed program_fault
        velocity_command_stale command_limited"""
    assert set(wanted.split()) <= faults, "the plans must reach every kind of fault"
    trials("replay", plans)


def recorded_rig(spec: RobotSpec, make: Callable[..., object], **options) -> tuple:
    """A rig on the simulated robot's stand-in, and its recorder."""
    facts = FlightFacts(spec, RANGE, stand_up_s=0.02)
    recorder = FlightRecorder(facts, lambda flight: None)
    return make(witness=recorder, **options), recorder


def lose_sensors(rig) -> None:
    kept = rig.robot.latest_state()
    rig.link.sense = lambda state: kept
    rig.tick(8)


def bend(field: str, value: float) -> Callable:
    def inject(rig) -> None:
        def sense(state: RobotState) -> RobotState:
            values = getattr(state, field).copy()
            values[1] = value
            return replace(state, **{field: values})

        rig.link.sense = sense
        rig.tick(5)

    return inject


def answer(value: object) -> Callable:
    def inject(rig) -> None:
        rig.policy.answer = lambda observation: value
        rig.tick(5)

    return inject


def raise_in(where: str) -> Callable:
    def fail(_: object) -> None:
        raise OSError("cable")

    def inject(rig) -> None:
        if where == "policy":
            rig.policy.answer = fail
        else:
            setattr(rig.link, where, fail)
        for _ in range(8):
            rig.clock.advance(0.02)
            rig.robot.advance(rig.clock.now_s())
            rig.loop.tick(rig.clock.now_s())

    return inject


def stop_while_asked(rig) -> None:
    def stop_from_elsewhere(observation: np.ndarray) -> np.ndarray:
        presser = threading.Thread(target=rig.loop.stop, args=("pressed",))
        presser.start()
        presser.join()
        return np.full(12, 0.1)

    rig.policy.answer = stop_from_elsewhere
    rig.clock.advance(0.02)
    rig.robot.advance(rig.clock.now_s())
    assert rig.loop.tick(rig.clock.now_s()).state is STOPPED


def arm_again(rig) -> None:
    rig.loop.disarm("operator")
    rig.tick(3)
    rig.walk()
    with pytest.raises(RobotLinkError):
        rig.loop.arm(rig.clock.now_s())
    rig.tick(2)
    rig.loop.stop("operator")
    with pytest.raises(RobotLinkError):
        rig.loop.arm(rig.clock.now_s())
    rig.tick(2)


FAULTS: dict[str, tuple[Callable, SafetyState]] = {
    "sensors are lost": (lose_sensors, DAMP),
    "a joint is not a number": (bend("joint_position_rad", math.nan), DAMP),
    "a joint is outside its range": (bend("joint_position_rad", 2.0), DAMP),
    "a joint is too fast": (bend("joint_velocity_radps", 60.0), DAMP),
    "the robot tilts": (bend("projected_gravity", -0.9), DAMP),
    "the base spins": (bend("base_angular_velocity_radps", 30.0), DAMP),
    "the policy says NaN": (answer(np.full(12, np.nan)), DAMP),
    "the policy says eleven numbers": (answer(np.zeros(11)), DAMP),
    "the policy says a word": (answer("left"), DAMP),
    "the policy shouts": (answer(np.full(12, 50.0)), RUN),
    "the policy raises": (raise_in("policy"), DAMP),
    "the link can't be read": (raise_in("sense"), DAMP),
    "the link can't send": (raise_in("on_send"), STOPPED),
    "the operator stops": (lambda rig: (rig.loop.stop("pressed"), rig.tick(3)), STOPPED),
    "the operator stops in mid-tick": (stop_while_asked, STOPPED),
    "the operator disarms and arms": (arm_again, STOPPED),
    "the clock goes back": (lambda rig: rig.step(rig.clock.now_s() - 1.0), DAMP),
    "time is not a number": (lambda rig: rig.step(math.nan), DAMP),
    "ticks come late": (lambda rig: rig.tick(10, period_s=0.06, skipped=2), HOLD),
    "HOLD ends by itself": (
        lambda rig: (rig.tick(4, period_s=0.04, skipped=1), rig.tick(150)),
        RUN,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_kind_of_fault_on_a_rig_is_replayed(spec, light_rig, tmp_path, trials, fault):
    inject, reached = FAULTS[fault]
    rig, recorder = recorded_rig(spec, light_rig)
    rig.tick(3)
    rig.loop.set_velocity_command([0.4, -0.1, 0.2], rig.clock.now_s())
    rig.walk()
    rig.tick(5)
    inject(rig)
    assert rig.report.state is reached
    recorder.expect_end()
    recorder._trigger("the test ended")
    flight = must_replay(recorder.cut(), tmp_path)
    assert flight.ticks[-1].report.state is reached
    trials("replay", 1)


def test_a_flight_that_began_after_its_loop_is_replayed_from_a_memory(spec, light_rig, tmp_path):
    rig, recorder = recorded_rig(spec, light_rig)
    rig.walk()
    rng = np.random.default_rng(5)
    rig.policy.answer = lambda observation: rng.normal(0.0, 0.05, 12)
    for _ in range(1800):
        rig.tick()
    assert recorder.cut() is None
    lose_sensors(rig)
    flight = must_replay(recorder.cut(), tmp_path)
    ticks = [tick.report.tick_index for tick in flight.ticks]
    assert ticks[0] > 0
    assert ticks[-1] == rig.report.tick_index
    fault = flight.triggers[0].tick_index
    assert (fault - ticks[0]) * spec.control_dt_s >= 30.0


def test_another_limit_shows_in_the_first_tick_that_it_changes(spec, light_rig, tmp_path):
    rig, recorder = recorded_rig(spec, light_rig)
    rig.walk()
    last = rig.tick(10).tick_index
    lose_sensors(rig)
    flight = through_a_file(recorder.cut(), tmp_path)
    patient = replace(spec, safety=replace(spec.safety, sensor_age_hold_s=0.09))
    replay = replay_flight(flight, spec=patient)
    first = replay.differences[0]
    # Ages of 20, 40, 60 ms are allowed; 80 ms was HOLD, and would be RUN.
    assert (first.tick_index, first.what) == (last + 4, "state")
    assert (first.recorded, first.replayed) == ("HOLD", "RUN")
    assert replay.differing_ticks >= 1


@pytest.mark.parametrize("what", ["command", "answer", "sample", "order of calls"])
def test_a_recording_that_is_not_what_happened_differs(spec, light_rig, what):
    rig, recorder = recorded_rig(spec, light_rig)
    rig.walk()
    rig.policy.answer = lambda observation: np.full(12, 0.01)
    rig.tick(20)
    lose_sensors(rig)
    flight = recorder.cut()
    tick = flight.ticks[10]
    if what == "command":
        moved = np.nextafter(tick.report.command.position_rad, 9.0)
        tick.report = replace(
            tick.report, command=replace(tick.report.command, position_rad=moved)
        )
    elif what == "answer":
        tick.answer = np.nextafter(tick.answer, 9.0)
    elif what == "sample":
        tick.sample = None
    else:
        flight.ticks[3].calls, flight.ticks[0].calls = flight.ticks[0].calls, ()
    assert replay_flight(flight).differences


def test_a_policy_that_is_asked_again_is_held_against_what_it_said(spec, light_rig):
    rig, recorder = recorded_rig(spec, light_rig)
    rig.walk()
    rig.policy.answer = lambda observation: observation[:12].astype(float)
    rig.tick(20)
    lose_sensors(rig)
    flight = recorder.cut()

    class Again:
        def __init__(self, error: float) -> None:
            self.error = error

        def action(self, observation: np.ndarray) -> np.ndarray:
            return observation[:12].astype(float) + self.error

    # The first tick of the policy was answered with zeros, by the rig's own policy.
    asked = [tick for tick in flight.ticks if tick.answer is not None and tick.answer.any()]
    assert len(asked) > 20
    flight = replace(flight, ticks=asked)
    assert action_difference(flight, Again(0.0)) == 0.0
    assert action_difference(flight, Again(0.25)) == pytest.approx(0.25)
    assert action_difference(flight, Again(math.nan)) == math.inf


def test_what_threads_do_at_once_is_replayed(spec, upright, tmp_path, count, trials):
    runs = count(15, 300)
    for seed in range(runs):
        drawn = Drawn(spec, upright, seed, danger=0.0)
        over = threading.Event()

        def flood(drawn=drawn, over=over) -> None:
            while not over.wait(1e-4):
                drawn.loop.set_velocity_command([0.1, 0.0, 0.1], drawn.now_s)

        def press(drawn=drawn, wait_s=1e-3 * (1 + seed % 9)) -> None:
            threading.Event().wait(wait_s)
            drawn.loop.stop("pressed")

        threads = [threading.Thread(target=target) for target in (flood, press)]
        drawn.drive(3)
        for thread in threads:
            thread.start()
        while drawn.loop.state is not STOPPED:
            drawn.drive(1)
        over.set()
        for thread in threads:
            thread.join()
        flight = must_replay(drawn.run(3), tmp_path)
        stopped = [tick for tick in flight.ticks if tick.stop_look is not None]
        assert [tick.stop_reason for tick in stopped] == ["pressed"]
    trials("replay", runs)
