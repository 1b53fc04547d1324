"""T-12: a press at any moment damps at once, whatever hangs."""

import threading
import time

import numpy as np
import pytest
from light_robot import LightRobot

from rwmu_deploy.collection.transition_logger import TransitionLogger
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.runtime.control_loop import ControlLoop
from rwmu_deploy.runtime.loop_thread import LoopThread
from rwmu_deploy.runtime.safety_monitor import SafetyState

RUN, HOLD, DAMP, STOPPED = SafetyState
FIRST_DAMPING_S = 0.025
MOMENTS = ("between ticks", "reading", "asking the policy", "sending", "reporting")


def test_press_at_any_moment_of_a_tick_damps_before_it_returns(light_rig, trials, count):
    rng, presses = np.random.default_rng(12), count(1000, 20_000)
    for _ in range(presses):
        rig = light_rig()
        rig.walk()
        rig.tick(int(rng.integers(1, 4)))
        moment = rng.choice(MOMENTS)
        pressed = []

        def press(rig=rig, pressed=pressed):
            if not pressed:
                pressed.append(True)
                rig.loop.stop("button")
                assert rig.link.sent[-1].is_damping, "it is out before the call returns"

        def then(call, answer):
            call()
            return answer

        already = rig.link.count
        if moment == "reading":
            rig.link.sense = lambda state, press=press: then(press, state)
        elif moment == "asking the policy":
            rig.policy.answer = lambda observation, press=press: then(press, np.zeros(12))
        elif moment == "sending":
            rig.link.on_send = lambda command, press=press: press()
        elif moment == "reporting":
            listen = rig.loop._on_tick
            rig.loop._on_tick = lambda report, p=press, n=listen: then(p, n(report))
        else:
            press()
        rig.clock.advance(0.02)
        rig.robot.advance(rig.clock.now_s())
        rig.loop.tick(rig.clock.now_s())
        assert pressed
        kinds = [command.is_damping for command in rig.link.sent[-(rig.link.count - already) :]]
        first = kinds.index(True)
        # Sending and reporting happen when the tick's own command is on its way or out already.
        assert first <= (1 if moment in ("sending", "reporting") else 0)
        for _ in range(3):
            rig.tick()
        assert rig.report.state is STOPPED
        assert all(command.is_damping for command in rig.link.sent[-3:])
        trials("T-12", 1)


class TimedRobot(LightRobot):
    """Notes when which kind of command arrived."""

    def __init__(self, spec, start_s):
        super().__init__(spec, start_s)
        self.sent = []

    def send(self, command):
        super().send(command)
        self.sent.append((time.monotonic(), command.is_damping))


class HangingPolicy:
    def __init__(self):
        self.asked, self.may_answer = threading.Event(), threading.Event()
        self.may_answer.set()

    def action(self, observation):
        self.asked.set()
        self.may_answer.wait(10.0)
        return np.zeros(12)


@pytest.mark.parametrize("hangs", ["nothing", "inference", "disk"])
def test_press_in_real_time_is_out_within_25_ms(spec, tmp_path, monkeypatch, hangs, trials, count):
    rng, presses = np.random.default_rng(3), count(7, 334)
    disk = threading.Event()
    if hangs == "disk":
        monkeypatch.setattr(
            "rwmu_deploy.collection.transition_journal.TransitionJournal.append",
            lambda self, line: disk.wait(30.0),
        )
    worst_s = 0.0
    for press in range(presses):
        robot, policy = TimedRobot(spec, time.monotonic()), HangingPolicy()
        logger = None
        if hangs == "disk":
            logger = TransitionLogger(tmp_path / str(press), spec, source="sim")
        loop = ControlLoop(
            spec,
            policy,
            robot,
            command_range=CommandRange((0, 0, 0), (1, 1, 1)),
            stand_up_s=0.02,
            on_tick=None if logger is None else logger.on_tick,
        )
        now_s = time.monotonic()
        robot.advance(now_s)
        loop.arm(now_s)
        # The watchdog must not be what damps here.
        thread = LoopThread(loop, 0.02, before_tick=robot.advance, watchdog_s=60.0)
        thread.start()
        assert policy.asked.wait(20.0)
        if hangs == "inference":
            policy.asked.clear()
            policy.may_answer.clear()
            assert policy.asked.wait(20.0)
        time.sleep(rng.uniform(0.0, 0.04))
        already, pressed_s = len(robot.sent), time.monotonic()
        loop.stop("button")
        first_s = next(at_s for at_s, is_damping in robot.sent[already:] if is_damping)
        worst_s = max(worst_s, first_s - pressed_s)
        policy.may_answer.set()
        thread.request_stop("test over")
        assert thread.join(20.0)
        after = robot.sent[already:]
        first = next(i for i, (_, is_damping) in enumerate(after) if is_damping)
        assert all(is_damping for _, is_damping in after[first:])
        assert len(after) >= 10
        if logger is not None:
            disk.set()
            logger.close()
            disk.clear()
        trials("T-12", 1)
    assert worst_s <= FIRST_DAMPING_S


def test_after_a_press_damping_goes_on_forty_five_times_a_second(spec, trials):
    robot, policy = TimedRobot(spec, time.monotonic()), HangingPolicy()
    loop = ControlLoop(
        spec, policy, robot, command_range=CommandRange((0, 0, 0), (1, 1, 1)), stand_up_s=0.02
    )
    now_s = time.monotonic()
    robot.advance(now_s)
    loop.arm(now_s)
    thread = LoopThread(loop, 0.02, before_tick=robot.advance, watchdog_s=60.0)
    thread.start()
    assert policy.asked.wait(20.0)
    loop.stop("button")
    already, pressed_s = len(robot.sent), time.monotonic()
    assert not thread.join(1.0)
    lasted_s = time.monotonic() - pressed_s
    sent = robot.sent[already:]
    assert all(is_damping for _, is_damping in sent)
    # A machine that stood still skips ticks, and the loop knows how many.
    assert len(sent) + thread.skipped >= 45 * lasted_s
    thread.request_stop("test over")
    assert thread.join(20.0)
    trials("T-12", 1)
