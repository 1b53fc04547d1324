"""The real thread on the real clock.

Other work may share the machine, so every limit is wide, and the watchdogs are more patient than
the real one.
"""

import threading
import time

import numpy as np
import pytest

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.runtime.control_loop import ControlLoop
from rwmu_deploy.runtime.loop_thread import FINAL_DAMPING_TICKS, LoopThread
from rwmu_deploy.runtime.safety_monitor import SafetyState
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot

PATIENT_S = 30.0
"""A watchdog that a busy machine doesn't trip."""


class Policy:
    """Stands; `hang` makes it wait for an event, as a stuck inference does."""

    def __init__(self):
        self.hang = None
        self.asked = threading.Event()

    def action(self, observation):
        self.asked.set()
        if self.hang is not None:
            self.hang.wait(20.0)
        return np.zeros(12)


class TimedRobot(SimulatedRobot):
    """Remembers when which kind of command arrived."""

    def __init__(self, spec):
        super().__init__(spec)
        self.sent = []

    def send(self, command):
        super().send(command)
        self.sent.append((time.monotonic(), command.is_damping))


@pytest.fixture
def parts(spec):
    robot, policy = TimedRobot(spec), Policy()
    robot.advance(1.0)
    loop = ControlLoop(
        spec,
        policy,
        robot,
        command_range=CommandRange((0, 0, 0), (1, 1, 1)),
        stand_up_s=0.04,
    )
    now_s = time.monotonic()
    robot.resume_at(now_s)
    loop.arm(now_s)
    return loop, robot, policy


def damping_at_the_end(robot):
    kinds = [is_damping for _, is_damping in robot.sent]
    return len(kinds) - 1 - max(k for k, is_damping in enumerate(kinds) if not is_damping)


def test_ticks_fifty_times_a_second_and_ends_by_damping(parts):
    loop, robot, policy = parts
    thread = LoopThread(loop, 0.02, before_tick=robot.advance_in_real_time, watchdog_s=PATIENT_S)
    started_s = time.monotonic()
    thread.start()
    assert policy.asked.wait(20.0)
    assert not thread.join(0.6)
    thread.request_stop("test over")
    thread.request_stop("again")
    assert thread.join(20.0)
    grid_points = (robot.sent[-1][0] - started_s) / 0.02 + 1
    ticks = thread.periods.errors().count + 1 + FINAL_DAMPING_TICKS
    assert ticks + thread.skipped == pytest.approx(grid_points, abs=3)
    assert loop.state is SafetyState.STOPPED
    assert loop.reasons == ("test over",)
    assert damping_at_the_end(robot) >= FINAL_DAMPING_TICKS


def test_hung_policy_is_damped_by_the_watchdog_until_it_returns(parts):
    loop, robot, policy = parts
    thread = LoopThread(loop, 0.02, before_tick=robot.advance_in_real_time, watchdog_s=2.0)
    policy.hang = threading.Event()
    thread.start()
    assert policy.asked.wait(20.0)
    deadline_s = time.monotonic() + 20.0
    while loop.state is not SafetyState.STOPPED and time.monotonic() < deadline_s:
        policy.asked.wait(0.005)
    assert "watchdog" in loop.reasons[0]
    hung_s = time.monotonic()
    while len([at for at, damps in robot.sent if damps]) < 5 and time.monotonic() < hung_s + 20.0:
        time.sleep(0.01)
    assert all(damps for _, damps in robot.sent[-5:])
    policy.hang.set()
    thread.request_stop("test over")
    assert thread.join(20.0)
    first = next(k for k, (_, damps) in enumerate(robot.sent) if damps)
    assert all(damps for _, damps in robot.sent[first:]), "no late policy command gets through"
    silence_s = robot.sent[first][0] - robot.sent[first - 1][0]
    assert 2.0 <= silence_s < 10.0


def test_failure_of_the_simulation_ends_in_damping(parts):
    loop, robot, policy = parts

    def advance(now_s):
        if policy.asked.is_set():
            raise ZeroDivisionError("physics")
        robot.advance_in_real_time(now_s)

    thread = LoopThread(loop, 0.02, before_tick=advance, watchdog_s=PATIENT_S)
    thread.start()
    assert thread.join(20.0)
    assert loop.reasons == ("program_fault: ZeroDivisionError: physics",)
    assert damping_at_the_end(robot) >= FINAL_DAMPING_TICKS


def test_emergency_stop_from_another_thread_is_out_before_it_returns(parts):
    loop, robot, policy = parts
    thread = LoopThread(loop, 0.02, before_tick=robot.advance_in_real_time, watchdog_s=PATIENT_S)
    thread.start()
    assert policy.asked.wait(20.0)
    loop.stop("button")
    pressed = len(robot.sent)
    assert robot.sent[pressed - 1][1]
    thread.join(0.1)
    thread.request_stop("test over")
    assert thread.join(20.0)
    assert all(damps for _, damps in robot.sent[pressed - 1 :])
    assert loop.reasons == ("button",)


@pytest.mark.parametrize("watchdog_s", [0.0, 0.02, float("nan")])
def test_watchdog_that_could_not_wait_for_a_tick_is_refused(parts, watchdog_s):
    with pytest.raises(ConfigError, match="watchdog"):
        LoopThread(parts[0], 0.02, watchdog_s=watchdog_s)
