"""How punctual the policy node is: two processes, real time, ROS 2, log and monitor on.

One process is the simulated robot (200 Hz), the other the policy node with the shipped bundle.
Both are the ones that a user starts; each also notes times in memory, touched before the start.

- Period error: |time between the starts of two ticks - 20 ms|, monotonic clock.
- Sensor-to-command latency: from the stamp of the joint states that a tick used (the robot sets it
  when it publishes them) to the robot's receipt of the command that the tick sent. Both are read
  from the wall clock of this machine. A command is found again by its numbers.
- Growth of the policy node's memory (RSS): its maximum after the first minute, less its value
  then.

    python benchmarks/real_time.py --seconds 600
    python benchmarks/real_time.py --seconds 600 --hog
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from node_pair import REPOSITORY, START_S, NodePair
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

BUNDLE = REPOSITORY / "exports" / "anymal_d_flat"
SEQUENCE = (
    "'[[5, 0, 0, 0], [20, 0.5, 0, 0], [20, 0.3, 0, 0.5], [20, 0, 0.3, 0], [86400, 0.5, 0, 0]]'"
)
PERCENTILES = (50.0, 99.0, 99.9, 100.0)
MONITOR = "warn"
PERIOD_S = 0.02
WARM_UP_S = 60.0
CHANNELS = 36
"""Numbers in a joint command: position, kp and kd of 12 joints."""


class Notes:
    """Pairs of a time [ns] and the command's numbers, in memory that is allocated at once."""

    def __init__(self, seconds: float) -> None:
        size = int((seconds + START_S) * 60)
        self._times_ns = np.full((size, 2), -1, dtype=np.int64)
        self._commands = np.full((size, CHANNELS), np.nan)
        self._count = 0

    def add(self, first_ns: int, second_ns: int, command: Sequence[float]) -> None:
        """Take note of a command, unless the memory is full."""
        if self._count < len(self._times_ns):
            self._times_ns[self._count] = first_ns, second_ns
            self._commands[self._count] = command
            self._count += 1

    def save(self, path: Path) -> None:
        np.savez(
            path, times_ns=self._times_ns[: self._count], commands=self._commands[: self._count]
        )


def run_policy(notes_file: Path, seconds: float) -> int:
    """The policy node, with a link that notes the stamp of the joint states behind a command."""
    from rwmu_ros import policy_node, topic_link
    from rwmu_ros.policy_process import main as run_node

    notes = Notes(seconds)

    class NotingLink(topic_link.TopicLink):
        """Notes when a tick began, and which stamp its command came from."""

        _stamp_ns = -1
        _began_ns = -1

        def latest_state(self) -> Any:
            if threading.current_thread().name == "control-loop":
                self._began_ns = time.monotonic_ns()
            return super().latest_state()

        def _joint_reading(self, message: Any) -> Any:
            stamp = message.header.stamp
            self._stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
            return super()._joint_reading(message)

        def send(self, command: Any) -> None:
            super().send(command)
            numbers = np.stack(
                [command.position_rad, command.kp_nm_per_rad, command.kd_nms_per_rad], axis=1
            )
            if self._began_ns > 0:
                notes.add(self._stamp_ns, self._began_ns, numbers.ravel().tolist())

    policy_node.TopicLink = NotingLink  # pyright: ignore[reportPrivateImportUsage]
    code = run_node()
    notes.save(notes_file)
    return code


def run_robot(notes_file: Path, seconds: float) -> int:
    """The simulated robot, noting when each command came."""
    from rwmu_ros import simulated_robot_node
    from std_msgs.msg import Float64MultiArray

    notes = Notes(seconds)

    class NotingRobot(simulated_robot_node.SimulatedRobotNode):
        """Notes the wall-clock time at which a command arrived."""

        def _on_command(self, message: Float64MultiArray) -> None:
            received_ns = time.time_ns()
            super()._on_command(message)
            values: array[float] = array("d", message.data)
            notes.add(received_ns, time.monotonic_ns(), values.tolist())

    simulated_robot_node.SimulatedRobotNode = NotingRobot
    code = simulated_robot_node.main()
    notes.save(notes_file)
    return code


@contextlib.contextmanager
def kept_busy(wanted: bool) -> Iterator[None]:
    """One core that has no time for anybody else."""
    if not wanted:
        yield
        return
    hog = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    os.sched_setaffinity(hog.pid, {min(os.sched_getaffinity(0))})
    try:
        yield
    finally:
        hog.kill()
        hog.wait()


def resident_mb(process: subprocess.Popen[bytes]) -> float:
    """Memory of a process that is in RAM."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024.0


def memory_growth_mb(samples: list[tuple[float, float]]) -> float | None:
    """Largest RSS after the first minute less RSS then; None where the run was shorter."""
    later = [mb for at_s, mb in samples if at_s >= WARM_UP_S]
    return round(max(later) - later[0], 3) if later else None


def percentiles_ms(values_ns: NDArray[np.int64]) -> dict[str, float]:
    names = ("p50", "p99", "p99.9", "max")
    found = np.percentile(values_ns, PERCENTILES) / 1e6
    return dict(zip(names, (round(float(value), 4) for value in found), strict=True))


def latencies_ns(sent: Any, received: Any) -> NDArray[np.int64]:
    """From the stamp used to the receipt, for every command that is found on both sides."""
    receipt_of = {
        command.tobytes(): times[0]
        for command, times in zip(received["commands"], received["times_ns"], strict=True)
    }
    # While standing still, commands may repeat; only those sent once can be told apart.
    keys = [command.tobytes() for command in sent["commands"]]
    seen: dict[bytes, int] = {}
    for key in keys:
        seen[key] = seen.get(key, 0) + 1
    pairs = [
        receipt_of[key] - times[0]
        for key, times in zip(keys, sent["times_ns"], strict=True)
        if seen[key] == 1 and key in receipt_of
    ]
    return np.array(pairs, dtype=np.int64)


def measure(seconds: float, *, hog: bool, priority: int) -> dict[str, Any]:
    """Let both run and gather everything."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as name, Progress(console=console) as progress:
        folder = Path(name)
        task = progress.add_task("walking", total=seconds)
        memory: list[tuple[float, float]] = []
        with (
            kept_busy(hog),
            NodePair(
                Path(__file__),
                seconds,
                folder,
                packages=("rwmu_deploy",),
                robot={"realtime_priority": priority, "velocity_sequence": SEQUENCE},
                policy={"realtime_priority": priority, "bundle": BUNDLE, "monitor": MONITOR},
            ) as nodes,
        ):

            def look(at_s: float) -> None:
                memory.append((at_s, resident_mb(nodes.policy)))
                progress.update(task, completed=at_s)

            nodes.wait(seconds, look)
        summary = json.loads((folder / "summary.json").read_text())
        sent = dict(np.load(folder / "policy.npz"))
        received = dict(np.load(folder / "robot.npz"))
    # The end damps at once and out of turn, then for ten ticks: that is another measurement.
    began_ns = np.unique(sent["times_ns"][:, 1])[:-12]
    in_time = sent["times_ns"][:, 1] <= began_ns[-1]
    sent = {name: values[in_time] for name, values in sent.items()}
    period_error_ns = np.abs(np.diff(began_ns) - int(PERIOD_S * 1e9))
    latency_ns = latencies_ns(sent, received)
    return {
        "seconds": seconds,
        "hog_on_one_core": hog,
        "cores": len(os.sched_getaffinity(0)),
        "scheduling": summary["scheduling"],
        "ticks": summary["ticks"],
        "final_state": summary["final_state"],
        "final_reasons": summary["final_reasons"],
        "period_error_ms": percentiles_ms(period_error_ns),
        "sensor_to_command_ms": percentiles_ms(latency_ns),
        "commands_matched": len(latency_ns),
        "overruns": summary["overruns"],
        "skipped_ticks": summary["skipped_ticks"],
        "counters": summary["counters"],
        "monitor": MONITOR,
        "rss_mb": round(memory[-1][1], 1),
        "rss_growth_mb": memory_growth_mb(memory),
        "rows": summary["log"]["rows"],
        "rows_dropped": summary["log"]["dropped"],
    }


def show(found: dict[str, Any]) -> None:
    """The same as a table."""
    hog = ", one core kept busy" if found["hog_on_one_core"] else ""
    table = Table(title=f"{found['seconds']:g} s through ROS 2{hog}")
    table.add_column("")
    for name in ("p50", "p99", "p99.9", "max"):
        table.add_column(f"{name} [ms]", justify="right")
    for key, title in (
        ("period_error_ms", "period error"),
        ("sensor_to_command_ms", "sensor to command"),
    ):
        table.add_row(title, *(f"{value:.3f}" for value in found[key].values()))
    console = Console(stderr=True)
    console.print(table)
    console.print(
        f"{found['ticks']} ticks, {found['overruns']} overruns, {found['skipped_ticks']} skipped, "
        f"{found['rows']} rows, {found['rows_dropped']} dropped; RSS {found['rss_mb']} MB, growth "
        f"{found['rss_growth_mb']} MB; scheduling: {found['scheduling']}; ended in "
        f"{found['final_state']}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--hog", action="store_true", help="keep one core busy beside it")
    parser.add_argument("--priority", type=int, default=20, help="realtime_priority of both nodes")
    parser.add_argument("--role", choices=("policy", "robot"), help=argparse.SUPPRESS)
    parser.add_argument("--notes", type=Path, help=argparse.SUPPRESS)
    arguments, ros = parser.parse_known_args()
    if arguments.role is not None:
        sys.argv[1:] = ros
        run = run_policy if arguments.role == "policy" else run_robot
        return run(arguments.notes, arguments.seconds)
    found = measure(arguments.seconds, hog=arguments.hog, priority=arguments.priority)
    show(found)
    print(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
