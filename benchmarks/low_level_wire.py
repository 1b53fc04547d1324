"""How punctual the policy node is on a robot that speaks LowState and LowCmd at 500 Hz.

Two processes in real time over DDS, log on: the simulated G1 behind its own messages, and the
policy node with a bundle, by default one that stands (`rwmu-export --onnx --stand g1`). The base's
velocity is estimated, as no sensor of this robot says it.

- LowCmd: messages that the robot followed, their rate, and the longest pause between two.
- Period error: |time between the starts of two ticks - 20 ms|, monotonic clock.
- LowState to LowCmd: from the robot's making of the LowState that a tick used to its taking of the
  first LowCmd made from it; it listens 500 times a second. A LowCmd is found by its checksum.
- Checksums that did not fit, on either side.

    python benchmarks/low_level_wire.py --seconds 600

JSON at the end, and what `rwmu-data check` says of the log.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from node_pair import START_S, NodePair
from numpy.typing import NDArray
from real_time import percentiles_ms
from rich.console import Console
from rich.progress import Progress

RATE_HZ = 500
PERIOD_NS = 20_000_000


class Notes:
    """Rows of three integers, in memory that is allocated at once."""

    def __init__(self, size: int) -> None:
        self._rows = np.full((size, 3), -1, dtype=np.int64)
        self._count = 0

    def add(self, *row: int) -> None:
        """Take note, unless the memory is full."""
        if self._count < len(self._rows):
            self._rows[self._count, : len(row)] = row
            self._count += 1

    @property
    def rows(self) -> NDArray[np.int64]:
        return self._rows[: self._count]


def checksum_of(message: bytes) -> int:
    """Which stands at the end of every message."""
    return int.from_bytes(message[-4:], "little")


def run_policy(notes_file: Path, seconds: float) -> int:
    """The policy node; notes the LowState's tick, the control tick's start, LowCmd's checksum."""
    from rwmu_ros import policy_process
    from rwmu_ros.node_link import LinkKind
    from rwmu_unitree.link_parameters import declare_link_parameters
    from rwmu_unitree.low_level_link import LowLevelLink

    notes = Notes(int((seconds + START_S) * 60))

    class NotingLink(LowLevelLink):
        _began_ns = -1
        _checksum = 0

        def latest_state(self) -> Any:
            if threading.current_thread().name == "control-loop":
                self._began_ns = time.monotonic_ns()
            return super().latest_state()

        def send(self, command: Any) -> None:
            super().send(command)
            newest = self._low_state.newest
            if self._began_ns > 0 and newest is not None and not command.is_damping:
                notes.add(newest.value.tick_ms, self._began_ns, self._checksum)

        def _message(self, command: Any, mode_machine: int) -> bytes:
            message = super()._message(command, mode_machine)
            self._checksum = checksum_of(message)
            return message

    code = policy_process.main(link_kind=LinkKind(NotingLink, declare_link_parameters))
    np.savez(notes_file, commands=notes.rows)
    return code


def run_robot(notes_file: Path, seconds: float) -> int:
    """The simulated robot; notes tick and time of each LowState, time and checksum of LowCmd."""
    from rwmu_unitree import simulated_robot_node
    from rwmu_unitree.simulated_robot_node import SimulatedRobotNode

    size = int((seconds + START_S) * RATE_HZ * 1.1)
    said, heard = Notes(size), Notes(size)
    true_mps: list[NDArray[np.float64]] = []
    ends: dict[str, Any] = {}

    class NotingRobot(SimulatedRobotNode):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            make, take = self.wire.low_state, self.wire.command

            def low_state(state: Any, yaw_rad: float, tick_ms: int) -> bytes:
                said.add(tick_ms, time.monotonic_ns())
                true_mps.append(state.base_linear_velocity_mps)
                return make(state, yaw_rad, tick_ms)

            def command(data: bytes) -> Any:
                heard.add(time.monotonic_ns(), checksum_of(data))
                followed = take(data)
                if followed is not None and not followed.is_damping:
                    lowest_m = min(self.robot.base_height_m, ends.get("lowest_m", math.inf))
                    ends.update(lowest_m=lowest_m, place_m=self.robot.base_position_m.tolist())
                return followed

            self.wire.low_state, self.wire.command = low_state, command

        def end(self) -> None:
            super().end()
            ends["dropped_s"] = self.robot.dropped_s
            ends["refused"] = dict(self.wire.refused)

    simulated_robot_node.SimulatedRobotNode = NotingRobot
    code = simulated_robot_node.main()
    np.savez(
        notes_file,
        said=said.rows,
        heard=heard.rows,
        true_mps=np.array(true_mps[: len(said.rows)]),
        ends=json.dumps(ends),
    )
    return code


def latencies_ns(
    commands: NDArray[np.int64], said: NDArray[np.int64], heard: NDArray[np.int64]
) -> NDArray[np.int64]:
    """From each LowState that a tick used to the first LowCmd made from it."""
    made_ns = {int(tick): int(at_ns) for tick, at_ns, _ in said}
    first_ns: dict[int, int] = {}
    for at_ns, checksum, _ in heard:
        first_ns.setdefault(int(checksum), int(at_ns))
    counts: dict[int, int] = {}
    for _, _, checksum in commands:
        counts[int(checksum)] = counts.get(int(checksum), 0) + 1
    return np.array(
        [
            first_ns[int(checksum)] - made_ns[int(tick)]
            for tick, _, checksum in commands
            # A robot at rest may be told the same twice; then nobody knows which one was heard.
            if counts[int(checksum)] == 1 and int(checksum) in first_ns and int(tick) in made_ns
        ],
        dtype=np.int64,
    )


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Let both run and gather everything."""
    # Not in the nodes' processes: torch is not on a robot.
    from rwmu_train.cli.data import main as data_command
    from rwmu_train.cli.export import main as export_command

    console = Console(stderr=True)
    with _folder(options.keep) as folder, Progress(console=console) as progress:
        bundle = options.bundle
        if bundle is None:
            bundle = folder / "stand"
            if export_command(["--onnx", "--stand", "g1", "--out", str(bundle)]) != 0:
                raise SystemExit("the bundle that stands was not made")
        task = progress.add_task("standing", total=options.seconds)
        with NodePair(
            Path(__file__),
            options.seconds,
            folder,
            packages=("rwmu_deploy", "rwmu_unitree"),
            robot={"robot": "g1", "velocity_sequence": _sequence(options)},
            policy={
                "realtime_priority": options.priority,
                "bundle": bundle,
                "robot": "g1",
                "base_frame": "pelvis",
                "command_topic": "/lowcmd",
                "odom_topic": "''",
                "contacts_topic": "''",
            },
        ) as nodes:
            nodes.wait(options.seconds, lambda at_s: progress.update(task, completed=at_s))
        summary = json.loads((folder / "summary.json").read_text())
        commands = np.load(folder / "policy.npz")["commands"]
        robot = dict(np.load(folder / "robot.npz"))
        progress.stop()
        checked = data_command(["check", str(folder / "log"), "--robot", "g1"])
    return {"seconds": options.seconds, **_figures(summary, commands, robot), "check": checked}


@contextlib.contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """Of logs and notes: a new one that stays, or one that goes."""
    if kept is not None:
        kept.mkdir(parents=True)
        yield kept
        return
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def _sequence(options: argparse.Namespace) -> str:
    """The operator's commands: the velocity, from when the policy runs to the end."""
    return f"'{json.dumps([[options.seconds + START_S, *options.velocity]])}'"


def _figures(
    summary: dict[str, Any], commands: NDArray[np.int64], robot: dict[str, Any]
) -> dict[str, Any]:
    said, heard = robot["said"], robot["heard"]
    ends = json.loads(str(robot["ends"]))
    pauses_ns = np.diff(heard[:, 0])
    period_error_ns = np.abs(np.diff(np.unique(commands[:, 1])) - PERIOD_NS)
    latency_ns = latencies_ns(commands, said, heard)
    lasted_s = float(heard[-1, 0] - heard[0, 0]) / 1e9
    return {
        "final_state": summary["final_state"],
        "final_reasons": summary["final_reasons"],
        "ticks": summary["ticks"],
        "overruns": summary["overruns"],
        "skipped_ticks": summary["skipped_ticks"],
        "counters": summary["counters"],
        "scheduling": summary["scheduling"],
        "period_error_ms": percentiles_ms(period_error_ns),
        "low_state_to_low_cmd_ms": percentiles_ms(latency_ns),
        "commands_matched": len(latency_ns),
        "low_cmd": len(heard),
        "low_cmd_hz": round(len(heard) / lasted_s, 1),
        "low_cmd_pause_ms": percentiles_ms(pauses_ns),
        "low_state_hz": round((len(said) - 1) / (float(said[-1, 1] - said[0, 1]) / 1e9), 1),
        "refused_by_robot": ends["refused"],
        "faults_at_node": summary["robot"]["faults"],
        "physics_dropped_s": ends["dropped_s"],
        "lowest_base_height_m": round(ends["lowest_m"], 3),
        "place_m": [round(value, 2) for value in ends["place_m"][:2]],
        "rows": summary["log"]["rows"],
        "rows_dropped": summary["log"]["dropped"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--bundle", type=Path, help="another one than that which stands")
    parser.add_argument(
        "--velocity",
        type=float,
        nargs=3,
        default=[0.0, 0.0, 0.0],
        metavar=("VX", "VY", "WZ"),
        help="what the robot is told [m/s, m/s, rad/s]",
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="new folder for logs, notes and true velocities"
    )
    parser.add_argument("--priority", type=int, default=20, help="realtime_priority of the node")
    parser.add_argument("--role", choices=("policy", "robot"), help=argparse.SUPPRESS)
    parser.add_argument("--notes", type=Path, help=argparse.SUPPRESS)
    options, ros = parser.parse_known_args()
    if options.role is not None:
        sys.argv[1:] = ros
        run = run_policy if options.role == "policy" else run_robot
        return run(options.notes, options.seconds)
    found = measure(options)
    print(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
