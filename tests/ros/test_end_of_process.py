"""T-14 and T-15: however the policy node's process ends, the robot damps."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from forked_processes import Fault, Forked
from policy_listener import LATE, PolicyListener, wait_until
from rclpy.context import Context
from sensor_msgs.msg import JointState

from rwmu_deploy.contract.robot_spec import load_robot_spec

SPEC = load_robot_spec("anymal_d")
AT_ONCE = 5
ROBOTS_AT_ONCE = 3
FINAL_DAMPING = 10
ALLOWED_S = 0.5
OWN_DAMPING_S = 0.1 + SPEC.link_timeout_s
SENSORS = ("joint_states", "imu", "odom", "contacts")
StartPolicies = Callable[[list[str], str], dict[str, "Running"]]


@dataclass
class Running:
    """A policy node in charge of the standing robot."""

    process: ForkServerProcess
    fault: Fault
    folder: Path

    def end(self, ending: str) -> None:
        if ending == "exception":
            self.fault.set_off()
        else:
            assert self.process.pid is not None
            os.kill(self.process.pid, getattr(signal, ending))


@pytest.fixture
def start_policies(forked: Forked, standing_bundle: Path, tmp_path: Path) -> StartPolicies:
    def start(spaces: list[str], sensors: str) -> dict[str, Running]:
        """Policy nodes that autostart, with `sensors` before the names of their topics."""
        running: dict[str, Running] = {}
        for space in spaces:
            fault = Fault("main thread")
            process = forked.start(
                "policy_process",
                namespace=space,
                faults=[fault],
                bundle=standing_bundle,
                autostart=True,
                autostart_timeout_s=30.0,
                stand_up_s=0.5,
                realtime_priority=20,
                # As on a robot: code that was not used for a while has to be in memory at the end.
                lock_memory=True,
                log_dir=tmp_path / space / "log",
                log_source="sim",
                summary_file=tmp_path / space / "summary.json",
                **{f"{topic}_topic": f"{sensors}{topic}" for topic in SENSORS},
            )
            running[space] = Running(process, fault, tmp_path / space)
        return running

    return start


@pytest.fixture
def listening(ros_context: Context, undisturbed: None) -> Iterator[Callable[..., PolicyListener]]:
    made: list[PolicyListener] = []

    def listen(spaces: list[str]) -> PolicyListener:
        # One at a time: every new process makes the acquaintance of all that it would press.
        if made:
            made.pop().close()
        made.append(PolicyListener(ros_context, spaces))
        return made[-1]

    yield listen
    for listener in made:
        listener.close()


def spread(values_s: list[float]) -> str:
    ms = [round(value_s * 1e3, 1) for value_s in values_s]
    return f"{min(ms)}, {statistics.median(ms):.1f}, {max(ms)} ms (min, median, max of {len(ms)})"


def in_charge(running: dict[str, Running], listener: PolicyListener) -> dict[str, Running]:
    """Those that got as far as the policy; why the others did not is printed.

    While processes begin at once, sensors may come late enough for a policy node to damp, as it
    should, and the middleware may take longer to introduce two of many. That is no trial.
    """

    def state(space: str) -> dict[str, Any]:
        return listener.states.get(space, {})

    def is_trial(space: str) -> bool:
        is_running = state(space).get("phase") == "policy" and state(space)["state"] == "RUN"
        return is_running and bool(listener.commands[space])

    end_s = time.monotonic() + 15.0
    while time.monotonic() < end_s:
        if all(is_trial(space) or listener.was_kept_waiting(space) for space in running):
            break
        time.sleep(0.01)
    for space, policy in list(running.items()):
        if not is_trial(space):
            print(f"{space} is no trial: {state(space) or 'never heard of'}")
            # In order: one that is killed leaves the middleware of the others waiting for it.
            policy.end("SIGINT")
            policy.process.join(10.0)
            policy.process.kill()
            policy.process.join()
            del running[space]
    return running


def batches(ending: str, size: int, wanted: int) -> Iterator[list[str]]:
    """Names, ever new, of twice as many processes as trials are wanted, and two batches more."""
    for begin in range(0, 2 * wanted + 2 * size, size):
        yield [f"{ending.lower()}{index}" for index in range(begin, begin + size)]


@pytest.mark.parametrize("ending", ["SIGINT", "SIGTERM", "SIGHUP", "exception"])
def test_a_process_that_is_ended_damps_ten_times_and_closes_its_log(
    ending: str,
    forked: Forked,
    start_policies: StartPolicies,
    listening: Callable[..., PolicyListener],
    count: Callable[[int, int], int],
    trials: Callable[[str, int], None],
) -> None:
    forked.start("sensor_process")
    rng = random.Random(14)
    wanted, tried = count(10, 50), 0
    tenth_damping_s: list[float] = []
    stood_still_s: list[float] = []
    for now in batches(ending, AT_ONCE, wanted):
        listener = listening(now)
        running = in_charge(start_policies(now, "/"), listener)
        tried += len(running)
        ended_s: dict[str, float] = {}
        for space, policy in running.items():
            time.sleep(rng.uniform(0.0, 0.05))
            ended_s[space] = time.monotonic()
            policy.end(ending)
            if ending == "exception":
                ended_s[space] = time.monotonic()  # it was waited for until it came
            # One after the other: what ends here is in a real-time class, and two that take
            # everything apart at once leave no processor to a third.
            policy.process.join(10.0)
        for space, policy in running.items():
            assert policy.process.exitcode == (1 if ending == "exception" else 0)
            heard = [c for c in listener.commands[space] if c.sent_s >= ended_s[space]]
            damping = [command for command in heard if command.damps]
            assert len(damping) >= FINAL_DAMPING, (ended_s[space], listener.commands[space])
            assert heard[-1].damps, "the last command damps"
            # How long the middleware carries it then is not the process's to decide.
            tenth_s = damping[FINAL_DAMPING - 1].sent_s
            took_s = tenth_s - ended_s[space]
            if not listener.stalled(ended_s[space], tenth_s):
                if took_s < ALLOWED_S:
                    tenth_damping_s.append(took_s)
                else:
                    until_tenth = [c.sent_s for c in heard if c.sent_s <= tenth_s]
                    sent_s = [0.0, *(at_s - ended_s[space] for at_s in until_tenth)]
                    stood_still_s.append(max(b - a for a, b in pairwise(sent_s)))
                    assert stood_still_s[-1] > took_s - ALLOWED_S, (space, sent_s)
            # Everything that was logged is in a segment, and no journal is left.
            summary = json.loads((policy.folder / "summary.json").read_text())
            assert summary["ended_by"] == ("an exception" if ending == "exception" else ending)
            if summary["final_state"] != "RUN":
                # Five nodes on two processors: sensors or ticks may have been late, nothing else.
                reasons = summary["final_reasons"]
                assert reasons
                assert all(r.startswith(LATE) for r in reasons), reasons
            rows = [
                row
                for segment in summary["log"]["segments"]
                for row in Path(segment).read_text().splitlines()
            ]
            assert len(rows) == summary["rows_logged"] > 0
            assert not list((policy.folder / "log").glob("*.journal"))
        if tried >= wanted:
            break
    assert tried >= wanted, "too few got as far as the policy"
    print(f"T-14 {ending}: tenth damping command after {spread(tenth_damping_s)}")
    if stood_still_s:
        print(f"T-14 {ending}: sent nothing at all for {spread(stood_still_s)}")
    # A whole process that is not given a processor can't damp, and the robot does (T-15).
    assert len(stood_still_s) <= tried // 5
    trials("T-14", tried - len(stood_still_s))


class RobotsOwnDamping:
    """When a robot's joints fell limp: standing takes torque, and damping at rest takes none."""

    LIMP = 0.3

    def __init__(self, listener: PolicyListener, space: str) -> None:
        self._standing_nm = 0.0
        self._watching = False
        self.limp_s: float | None = None
        self._heard_s = math.inf
        self.pause_s = 0.0
        """Longest time without a word of it: a robot that isn't given a processor can't damp."""
        listener.hear(JointState, f"/{space}/joint_states", self._on_joints)

    def watch(self) -> None:
        """From now on."""
        self._watching = True

    def _on_joints(self, message: JointState) -> None:
        torque_nm, now_s = max(map(abs, message.effort)), time.monotonic()
        if self._watching and self.limp_s is None:
            self.pause_s = max(self.pause_s, now_s - self._heard_s)
        self._heard_s = now_s
        if not self._watching:
            self._standing_nm = torque_nm
        elif self.limp_s is None and torque_nm < self.LIMP * self._standing_nm:
            self.limp_s = now_s


@pytest.mark.parametrize("ending", ["SIGKILL", "SIGSTOP"])
def test_a_process_that_can_not_damp_leaves_it_to_the_robot_and_nothing_resumes(
    ending: str,
    forked: Forked,
    start_policies: StartPolicies,
    listening: Callable[..., PolicyListener],
    count: Callable[[int, int], int],
    trials: Callable[[str, int], None],
) -> None:
    rng = random.Random(15)
    wanted, tried = count(6, 50), 0
    limp_after_s: list[float] = []
    for now in batches(ending, ROBOTS_AT_ONCE, wanted):
        listener = listening(now)
        robots = [
            forked.start(
                "simulated_robot_node", namespace=space, rate_hz=100.0, realtime_priority=20
            )
            for space in now
        ]
        damping = {space: RobotsOwnDamping(listener, space) for space in now}
        running = in_charge(start_policies(now, ""), listener)
        now = list(running)
        tried += len(running)
        ended_s: dict[str, float] = {}
        for space, policy in running.items():
            time.sleep(rng.uniform(0.0, 0.05))
            damping[space].watch()
            ended_s[space] = time.monotonic()
            policy.end(ending)
        time.sleep(0.4)
        for space, policy in running.items():
            limp_s = damping[space].limp_s
            assert limp_s is not None, f"the robot damps by itself; {listener.states[space]}"
            if not listener.stalled(ended_s[space], limp_s):
                assert limp_s - ended_s[space] <= OWN_DAMPING_S + damping[space].pause_s
                limp_after_s.append(limp_s - ended_s[space])
            silent_from_s = ended_s[space] + OWN_DAMPING_S
            assert not [c for c in listener.commands[space] if c.sent_s > silent_from_s]
            if ending == "SIGSTOP":
                policy.end("SIGCONT")
        if ending == "SIGSTOP":
            wait_until(
                lambda listener=listener, now=now: all(
                    listener.states[space]["state"] == "STOPPED" for space in now
                )
            )
            time.sleep(0.5)
            for space in now:
                since_s = ended_s[space] + OWN_DAMPING_S
                resumed = [c.damps for c in listener.commands[space] if c.at_s > since_s]
                assert len(resumed) >= 20
                # One that was on its way when it was frozen may arrive; a robot that was left
                # alone follows no single command (`SimulatedRobot`, docs/ros2.md).
                assert all(resumed[1:]), "nothing resumes by itself"
        for process in (*robots, *(policy.process for policy in running.values())):
            process.kill()
            process.join()
        if tried >= wanted:
            break
    assert tried >= wanted, "too few got as far as the policy"
    print(f"T-15 {ending}: the robot damps after {spread(limp_after_s)}")
    trials("T-15", tried)
