"""Nodes as real processes, forked from one that has imported everything: 0.1 s each, not 2 s.

Faults are put into them before they run, and set off from the test by events.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

_NODES = ("policy_process", "simulated_robot_node")
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["rwmu_ros.policy_process", "rwmu_ros.simulated_robot_node", "sensor_process", "strangers"]
)


@dataclass(frozen=True)
class Fault:
    """What goes wrong in a node, when `begin` is set; `began` answers."""

    kind: str
    """One of the keys of `_INJECTIONS`."""
    lasts_s: float = 0.0
    begin: Event = field(default_factory=FORKS.Event)
    began: Event = field(default_factory=FORKS.Event)

    def set_off(self) -> None:
        """Let it happen once, and return when it has begun."""
        self.began.clear()
        self.begin.set()
        assert self.began.wait(10.0), f"{self.kind} did not come"

    def happen(self) -> None:
        """In the node: go wrong if told to."""
        if self.begin.is_set():
            self.begin.clear()
            self.began.set()
            if self.lasts_s == 0.0:
                raise RuntimeError("a fault that nobody catches")
            time.sleep(self.lasts_s)


def _main_thread(fault: Fault) -> None:
    """The node's own executor stands still, or raises."""
    from rwmu_ros.node_report import NodeReport

    original = NodeReport._say_news

    def faulty(self: NodeReport) -> None:
        fault.happen()
        original(self)

    NodeReport._say_news = faulty


def _inference(fault: Fault) -> None:
    from rwmu_deploy.contract.policy_bundle import PolicyBundle

    original = PolicyBundle.action

    def faulty(self: PolicyBundle, observation: Any) -> Any:
        fault.happen()
        return original(self, observation)

    PolicyBundle.action = faulty


def _disk(fault: Fault) -> None:
    from rwmu_deploy.collection.transition_journal import TransitionJournal

    original = TransitionJournal.append

    def faulty(self: TransitionJournal, line: bytes) -> None:
        fault.happen()
        original(self, line)

    TransitionJournal.append = faulty


def _terminal(fault: Fault) -> None:
    """Standard error is a pipe that is full and that nobody reads."""
    del fault
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b" " * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    os.dup2(writing, 2)
    os.set_inheritable(reading, False)


_INJECTIONS: dict[str, Callable[[Fault], None]] = {
    "main thread": _main_thread,
    "inference": _inference,
    "disk": _disk,
    "terminal": _terminal,
}


def _die_with_the_tests() -> None:
    """Tests that are killed take their nodes along: one that is left disturbs all that follow."""
    tests = multiprocessing.parent_process()
    assert tests is not None, "this is a process of theirs"
    tests.join()
    os.kill(os.getpid(), signal.SIGKILL)


def _run(
    module: str, domain_id: int, arguments: list[str], log: Path, faults: list[Fault]
) -> None:
    threading.Thread(target=_die_with_the_tests, daemon=True).start()
    # Whatever the tests' own process has: a node raises itself.
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.environ["ROS_DOMAIN_ID"] = str(domain_id)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.argv[1:] = arguments
    for fault in faults:
        _INJECTIONS[fault.kind](fault)
    package = "rwmu_ros." if module in _NODES else ""
    sys.exit(importlib.import_module(f"{package}{module}").main())


class Forked:
    """Starts processes in one domain and ends what is left of them."""

    def __init__(self, domain_id: int, folder: Path) -> None:
        self._domain_id = domain_id
        self._folder = folder
        self._started: list[ForkServerProcess] = []

    def start(
        self,
        module: str,
        *,
        namespace: str = "",
        faults: list[Fault] | None = None,
        **parameters: object,
    ) -> ForkServerProcess:
        """Start a node of `rwmu_ros`, or a module of these tests, under a namespace."""
        arguments = ["--ros-args", "-r", f"__ns:=/{namespace}"]
        for name, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            arguments += ["-p", f"{name}:={text}"]
        log = self.log_of(module, namespace)
        process = FORKS.Process(
            target=_run, args=(module, self._domain_id, arguments, log, faults or [])
        )
        process.start()
        self._started.append(process)
        return process

    def log_of(self, module: str, namespace: str = "") -> Path:
        """What the process prints."""
        return self._folder / f"{module}{namespace}.log"

    def close(self) -> None:
        for process in self._started:
            if process.exitcode is None:
                assert process.pid is not None
                os.kill(process.pid, signal.SIGKILL)
            process.join()
            process.close()


@contextmanager
def forked_in(domain_id: int, folder: Path) -> Iterator[Forked]:
    forked = Forked(domain_id, folder)
    try:
        yield forked
    finally:
        forked.close()
