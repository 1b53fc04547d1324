"""Which faults become flights, what is in them, and that nobody is disturbed by it."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from drawn_loop import RANGE

from rwmu_deploy.runtime.flight_record import Flight, FlightFacts
from rwmu_deploy.runtime.flight_recorder import AFTER_S, BEFORE_S, FlightRecorder
from rwmu_deploy.runtime.flight_replay import replay_flight
from rwmu_deploy.runtime.safety_monitor import SafetyState

RUN, HOLD, DAMP, STOPPED = SafetyState


@pytest.fixture
def flights() -> list[Flight]:
    return []


@pytest.fixture
def recorder(spec, flights) -> FlightRecorder:
    return FlightRecorder(FlightFacts(spec, RANGE, stand_up_s=0.02), flights.append)


@pytest.fixture
def rig(light_rig, recorder):
    return light_rig(witness=recorder)


def lose_sensors(rig) -> None:
    kept = rig.robot.latest_state()
    rig.link.sense = lambda state: kept


def test_a_run_without_a_fault_is_no_flight(rig, recorder, flights):
    rig.tick(3)
    rig.walk()
    rig.tick(100)
    rig.loop.disarm("operator")
    rig.tick(10)
    rig.walk()
    recorder.expect_end()
    rig.loop.stop("run finished")
    rig.tick(10)
    assert flights == []
    assert not recorder.is_triggered
    assert recorder.cut() is None


def test_a_fault_becomes_a_flight_two_seconds_later(spec, rig, flights):
    rig.walk()
    rig.tick(50)
    lose_sensors(rig)
    rig.tick_until(HOLD)
    after = round(AFTER_S / spec.control_dt_s)
    rig.tick(after - 1)
    assert flights == []
    rig.tick()
    (flight,) = flights
    last = flight.ticks[-1].report
    assert last is rig.report
    trigger, worse = flight.triggers
    assert trigger.tick_index == last.tick_index - after
    assert trigger.why.startswith("HOLD: sensor_age")
    assert worse.why.startswith("DAMP: sensor_age"), "what follows falls into the same flight"
    assert len(flight.ticks) == rig.ticks


def test_a_later_fault_is_a_flight_of_its_own(rig, flights):
    for _ in range(2):
        rig.walk()
        rig.policy.answer = lambda observation: np.full(12, np.nan)
        rig.tick_until(DAMP)
        rig.policy.answer = lambda observation: np.zeros(12)
        rig.tick(110)
    assert [len(flight.triggers) for flight in flights] == [1, 1]
    assert all(f.triggers[0].why.startswith("DAMP: policy_output_unusable") for f in flights)


def test_thirty_seconds_before_the_fault_are_kept_and_no_more(spec, rig, flights):
    rig.walk()
    rig.tick(3000)
    rig.loop.stop("pressed")
    rig.tick(110)
    (flight,) = flights
    before = flight.triggers[0].tick_index - flight.ticks[0].report.tick_index
    assert BEFORE_S <= before * spec.control_dt_s <= BEFORE_S + 1.0
    assert flight.triggers[0].why == "stop: pressed"
    assert [tick.report.state for tick in flight.ticks][-100:] == [STOPPED] * 100


def test_a_stop_is_one_fault_however_often_it_is_pressed(rig, flights):
    rig.walk()
    for _ in range(20):
        rig.loop.stop("pressed")
        rig.tick()
    rig.tick(100)
    assert [trigger.why for trigger in flights[0].triggers] == ["stop: pressed"]


def test_disarming_is_no_fault_even_after_a_stop(rig, recorder, flights):
    rig.walk()
    rig.loop.stop("pressed")
    rig.tick(105)
    rig.loop.disarm("operator")
    rig.tick(105)
    assert [trigger.why for trigger in flights[0].triggers] == ["stop: pressed"]
    assert (len(flights), recorder.is_triggered) == (1, False)


def test_a_loop_that_is_flooded_while_it_hangs_does_not_fill_the_memory(rig, recorder):
    rig.walk()
    for _ in range(3000):
        rig.loop.set_velocity_command([np.nan, 0.0, 0.0], rig.clock.now_s())
    rig.step()
    rig.loop.stop("pressed")
    assert len(recorder.cut().ticks[-1].faults) == 1000
    assert rig.loop.counters["velocity_command_unusable"] == 3000


def test_a_fault_of_our_own_is_one_too(rig, recorder, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("ours")

    rig.walk()
    monkeypatch.setattr(rig.loop._limiter, "limit", fail)
    rig.step()
    flight = recorder.cut()
    assert flight.triggers[0].why == "STOPPED: program_fault: ZeroDivisionError: ours"
    # A fault that was not in the inputs does not come again, and that is told.
    found = replay_flight(flight).differences[0]
    assert (found.tick_index, found.what, found.replayed) == (
        rig.report.tick_index,
        "state",
        "RUN",
    )


def test_a_tick_that_hangs_is_told_with_what_it_hung_in(rig, recorder):
    rig.walk()
    rig.tick(5)
    asked, go_on = threading.Event(), threading.Event()

    def hang(observation):
        asked.set()
        go_on.wait(10.0)
        return np.zeros(12)

    rig.policy.answer = hang
    rig.clock.advance(0.02)
    rig.robot.advance(rig.clock.now_s())
    thread = threading.Thread(target=rig.loop.tick, args=(rig.clock.now_s(),))
    thread.start()
    assert asked.wait(10.0)
    rig.loop.stop("watchdog: no tick ended for 0.1 s")
    flight = recorder.cut()
    go_on.set()
    thread.join()
    assert flight.unfinished == "asking the policy"
    assert flight.triggers[0].why.startswith("stop: watchdog")
    assert replay_flight(flight).differences == []


def test_what_is_kept_are_references(rig, recorder):
    rig.walk()
    rig.tick(3)
    rig.loop.stop("pressed")
    tick = recorder.cut().ticks[-1]
    assert tick.sample is tick.report.robot_state
    assert tick.observation is tick.report.observation


def test_a_policy_that_uses_its_array_again_changes_no_record(rig, recorder):
    buffer = np.zeros(12)

    def answer(observation):
        buffer[:] += 0.001
        return buffer

    rig.walk()
    rig.policy.answer = answer
    rig.tick(5)
    rig.loop.stop("pressed")
    said = [tick.answer[0] for tick in recorder.cut().ticks[-5:]]
    assert said == pytest.approx([0.001, 0.002, 0.003, 0.004, 0.005])


class TestTheRecorderFails:
    def test_and_the_loop_goes_on_as_it_was(self, rig, recorder, monkeypatch, caplog):
        def fail(*_):
            raise MemoryError("no more")

        rig.walk()
        with monkeypatch.context() as patch:
            patch.setattr(recorder, "_close_tick", fail)
            assert rig.tick(5).state is RUN
        assert recorder.failures == 5
        assert rig.loop.counters == {}
        assert caplog.text.count("the flight recorder failed") == 1

    def test_and_the_next_flight_begins_after_it(self, rig, recorder, monkeypatch):
        def fail(*_):
            raise MemoryError("no more")

        rig.walk()
        with monkeypatch.context() as patch:
            patch.setattr(recorder, "_close_tick", fail)
            failed = rig.tick(5).tick_index
        rig.tick(20)
        lose_sensors(rig)
        rig.tick(8)
        flight = recorder.cut()
        assert flight.ticks[0].report.tick_index == failed + 2
        assert replay_flight(flight).differences == []

    def test_and_so_does_who_takes_the_flight(self, spec, light_rig):
        def fail(flight):
            raise OSError("disk")

        recorder = FlightRecorder(FlightFacts(spec, RANGE, stand_up_s=0.02), fail)
        rig = light_rig(witness=recorder)
        rig.walk()
        rig.loop.disarm("operator")
        rig.tick()
        rig.walk()
        rig.policy.answer = lambda observation: np.full(12, np.nan)
        assert rig.tick(150).state is DAMP
        assert recorder.failures == 1


def test_attempts_to_arm_that_are_refused_are_kept(rig, recorder):
    rig.link.sense = lambda state: replace(state, projected_gravity=np.array([0.0, -0.8, -0.6]))
    for _ in range(3):
        with pytest.raises(Exception, match="tilt_roll"):
            rig.loop.arm(rig.clock.now_s())
    rig.tick()
    rig.loop.stop("pressed")
    calls = recorder.cut().ticks[0].calls
    assert len(calls) == 3
    assert all("tilt_roll" in call.refused for call in calls)
