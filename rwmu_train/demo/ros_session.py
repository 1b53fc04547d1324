"""Policy node and simulated robot as two processes that only share DDS."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rwmu_deploy.contract.errors import ConfigError, RobotLinkError

STAND_UP_S = 2.0
REALTIME_PRIORITY = 20
"""Asked for; where the system refuses, the nodes say so and go on."""
ENDING_S = 20.0
"""How much longer than the session itself the nodes may take to start and to end."""


@dataclass(frozen=True)
class RosSession:
    """What is run, and where its files go."""

    bundle: Path
    robot: str
    velocity_sequence: Sequence[tuple[float, float, float, float]]
    """Seconds, vx [m/s], vy [m/s], wz [rad/s], one after the other."""
    folder: Path
    """Gets `log/` (transitions), summary.json, truth.csv and what both processes printed."""

    @property
    def seconds(self) -> float:
        """Duration of the policy phase."""
        return sum(entry[0] for entry in self.velocity_sequence)

    @property
    def log_folder(self) -> Path:
        return self.folder / "log"

    @property
    def truth_file(self) -> Path:
        return self.folder / "truth.csv"

    @property
    def summary_file(self) -> Path:
        return self.folder / "summary.json"


def run_ros_session(session: RosSession, workspace: Path) -> dict[str, Any]:
    """Run both processes to their end.

    Args:
        session: What is run.
        workspace: Folder of the ROS package's Python module (`ros2_ws/src/rwmu_deploy`).

    Returns:
        The policy node's summary.

    Raises:
        ConfigError: rclpy is not installed.
        RobotLinkError: A process failed, or ended without a summary.
    """
    if importlib.util.find_spec("rclpy") is None:
        raise ConfigError(
            "rclpy is not installed",
            fix="Install the extra 'ros', or source a ROS 2 installation.",
        )
    session.folder.mkdir(parents=True, exist_ok=True)
    environment = _environment(workspace)
    robot = _start(
        session,
        environment,
        "simulated_robot_node",
        {
            "robot": session.robot,
            "velocity_sequence": json.dumps([list(entry) for entry in session.velocity_sequence]),
            "truth_file": str(session.truth_file),
            "realtime_priority": REALTIME_PRIORITY,
        },
    )
    try:
        policy = _start(
            session,
            environment,
            "policy_node",
            {
                "bundle": str(session.bundle),
                "robot": session.robot,
                "log_dir": str(session.log_folder),
                "log_source": "sim",
                "stand_up_s": STAND_UP_S,
                "autostart": True,
                "realtime_priority": REALTIME_PRIORITY,
                "run_seconds": STAND_UP_S + session.seconds,
                "summary_file": str(session.summary_file),
            },
        )
        _wait(policy, "policy_node", STAND_UP_S + session.seconds + ENDING_S, session.folder)
    finally:
        robot.terminate()
        _wait(robot, "simulated_robot_node", ENDING_S, session.folder)
    if not session.summary_file.is_file():
        raise RobotLinkError(
            f"policy_node left no {session.summary_file}",
            fix=f"Read {session.folder / 'policy_node.txt'}.",
        )
    return json.loads(session.summary_file.read_text(encoding="utf-8"))


def _environment(workspace: Path) -> dict[str, str]:
    """This machine only, and a ROS domain of this session's own."""
    paths = [str(workspace), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DOMAIN_ID": str(1 + os.getpid() % 100),
        "OMP_NUM_THREADS": "1",
    }


def _start(
    session: RosSession, environment: dict[str, str], node: str, parameters: dict[str, Any]
) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", f"rwmu_ros.{node}", "--ros-args"]
    for name, value in parameters.items():
        text = json.dumps(value)
        words += ["-p", f"{name}:={text}"]
    with (session.folder / f"{node}.txt").open("wb") as output:
        return subprocess.Popen(words, env=environment, stdout=output, stderr=subprocess.STDOUT)


def _wait(process: subprocess.Popen[bytes], node: str, seconds: float, folder: Path) -> None:
    deadline_s = time.monotonic() + seconds
    try:
        code = process.wait(deadline_s - time.monotonic())
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise RobotLinkError(
            f"{node} did not end within {seconds:.0f} s", fix=f"Read {folder / node}.txt."
        ) from None
    if code != 0:
        raise RobotLinkError(f"{node} ended with code {code}", fix=f"Read {folder / node}.txt.")
