"""Real-time priority reaches every thread, or the process goes on without it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rwmu_ros import realtime_priority

PACKAGE = Path(__file__).resolve().parents[2] / "ros2_ws" / "src" / "rwmu_deploy"
IN_A_PROCESS_OF_ITS_OWN = """
import os, threading
from rwmu_ros.realtime_priority import raise_priority
stop = threading.Event()
early = threading.Thread(target=stop.wait); early.start()
raised = raise_priority(7)
late = threading.Thread(target=stop.wait); late.start()
found = {os.sched_getparam(int(tid)).sched_priority for tid in os.listdir("/proc/self/task")}
stop.set()
print(raised, sorted(found))
"""
WITH_A_NODE = """
import os, rclpy
from rclpy.node import Node
from rwmu_ros.realtime_priority import raise_priority
rclpy.init(domain_id=101)
node = Node("bare")
raised = raise_priority(7)
found = {True: set(), False: set()}
for tid in os.listdir("/proc/self/task"):
    of_middleware = open(f"/proc/self/task/{tid}/comm").read().startswith("dds.")
    tid = int(tid)
    found[of_middleware].add((os.sched_getscheduler(tid), os.sched_getparam(tid).sched_priority))
print(raised, *(str(found[kind]).replace(" ", "") for kind in (False, True)))
"""


AND_BACK = """
import os, rclpy
from rclpy.node import Node
from rwmu_ros.realtime_priority import lower_priority, raise_priority
rclpy.init(domain_id=101)
node = Node("bare")
raise_priority(7)
lower_priority()
tasks = list(map(int, os.listdir("/proc/self/task")))
print({os.sched_getscheduler(tid) for tid in tasks}, {os.getpriority(0, tid) for tid in tasks})
"""


def said_by(program: str) -> str:
    """What it prints in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return run.stdout.strip()


def test_at_its_end_a_process_takes_turns_again_in_every_thread() -> None:
    said = said_by(AND_BACK)
    assert said == f"{{{os.SCHED_OTHER}}} {{0}}"


def test_zero_changes_nothing() -> None:
    before = os.sched_getscheduler(0)
    assert realtime_priority.raise_priority(0)
    assert os.sched_getscheduler(0) == before


def test_threads_before_and_after_have_the_same_priority() -> None:
    said = said_by(IN_A_PROCESS_OF_ITS_OWN)
    # A machine may not allow it; then no thread has it.
    assert said in ("True [7]", "False [0]")


def test_threads_of_the_middleware_take_turns_with_everybody() -> None:
    said = said_by(WITH_A_NODE)
    raised, python, middleware = said.split()
    assert raised == "False" or (python, middleware) == ("{(1,7)}", "{(0,0)}")


def test_refusal_is_said_and_survived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(realtime_priority.os, "sched_setscheduler", refuse)
    assert not realtime_priority.raise_priority(20)
    assert "limits.conf" in caplog.text
