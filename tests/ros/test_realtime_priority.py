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


def test_zero_changes_nothing() -> None:
    before = os.sched_getscheduler(0)
    assert realtime_priority.raise_priority(0)
    assert os.sched_getscheduler(0) == before


def test_threads_before_and_after_have_the_same_priority() -> None:
    run = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS_OF_ITS_OWN],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    # A machine may not allow it; then no thread has it.
    assert run.stdout.strip() in ("True [7]", "False [0]")


def test_refusal_is_said_and_survived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(realtime_priority.os, "sched_setscheduler", refuse)
    assert not realtime_priority.raise_priority(20)
    assert "limits.conf" in caplog.text
