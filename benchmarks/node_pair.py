"""Two processes of one benchmark script: a simulated robot, and the policy node that drives it.

The script is started again with `--role robot` and `--role policy`, notes what it saw in the file
of `--notes`, and prints into a log beside it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

REPOSITORY = Path(__file__).resolve().parents[1]
START_S = 60.0
"""Longest time until the policy node is armed."""


class NodePair:
    """Runs while its `with` does; then the policy ends first, as an operator would end it.

    Args:
        script: Started twice.
        seconds: Passed to it.
        folder: Of notes, logs and the summary.
        packages: ROS packages of the workspace whose modules the nodes are.
        robot: Parameters of the robot's node.
        policy: Parameters of the policy node, beside those that every benchmark wants.
    """

    def __init__(
        self,
        script: Path,
        seconds: float,
        folder: Path,
        *,
        packages: tuple[str, ...],
        robot: Mapping[str, object],
        policy: Mapping[str, object],
    ) -> None:
        sources = REPOSITORY / "ros2_ws" / "src"
        modules = [*(sources / package for package in packages), REPOSITORY]
        self._words = [sys.executable, str(script), "--seconds", str(seconds)]
        self._folder = folder
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, modules)),
            "ROS_DOMAIN_ID": str(10 + os.getpid() % 90),
            "OMP_NUM_THREADS": "1",
        }
        self.robot = self._start("robot", robot)
        self.policy = self._start(
            "policy",
            {
                "lock_memory": "true",
                "autostart": "true",
                "autostart_timeout_s": START_S,
                "log_dir": folder / "log",
                "log_source": "sim",
                "summary_file": folder / "summary.json",
                **policy,
            },
        )

    def wait(self, seconds: float, each_second: Callable[[float], None]) -> None:
        """Wait until the policy is armed, and then so long.

        Args:
            seconds: How long.
            each_second: Called with the time since arming.

        Raises:
            SystemExit: A process ended by itself.
        """
        while "armed: " not in (self._folder / "policy.log").read_text():
            self._refuse_if_ended()
            time.sleep(0.1)
        began_s = time.monotonic()
        while (at_s := time.monotonic() - began_s) < seconds:
            self._refuse_if_ended()
            each_second(at_s)
            time.sleep(1.0)

    def __enter__(self) -> NodePair:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in (self.policy, self.robot):
            process.send_signal(signal.SIGINT)
            process.wait(30.0)

    def _start(self, role: str, parameters: Mapping[str, object]) -> subprocess.Popen[bytes]:
        words = [*self._words, "--role", role, "--notes", str(self._folder / f"{role}.npz")]
        words.append("--ros-args")
        for name, value in parameters.items():
            words += ["-p", f"{name}:={value}"]
        with (self._folder / f"{role}.log").open("wb") as log:
            return subprocess.Popen(
                words, env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )

    def _refuse_if_ended(self) -> None:
        for role, process in (("policy", self.policy), ("robot", self.robot)):
            if process.poll() is not None:
                log = (self._folder / f"{role}.log").read_text()
                raise SystemExit(f"the {role} ended with {process.returncode}:\n{log[-2000:]}")
