"""A collecting session as a lab runs it: three processes, ROS 2, real time, one power cut.

    python benchmarks/session_through_ros.py --minutes 60 --out runs/hour

The simulated field robot, the policy node with its log and the node that walks it share nothing
but DDS. In the middle all three get SIGKILL, as when a battery is pulled; `rwmu-recover` publishes
what the journal holds, and all start again in the same folder. What an operator would do is done
and counted: a robot that fell is put on its feet by starting all again, and where one came home
because its origin is old, the origin is set by service. JSON at the end.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rich.console import Console
from rich.progress import Progress
from std_srvs.srv import Trigger

from rwmu_deploy.patrol.collect_plan import CollectPlan
from rwmu_deploy.patrol.session_folder import read_progress

REPOSITORY = Path(__file__).resolve().parents[1]
ROS_PACKAGE = REPOSITORY / "ros2_ws" / "src" / "rwmu_deploy"
SHIPPED = REPOSITORY / "exports" / "anymal_d_flat"
NODES = ("simulated_robot_node", "policy_node", "collect_node")
LIFTED_AFTER_S = 5.0
"""A robot that is damped for so long is lifted."""
LONGEST_START_S = 60.0


class Operator:
    """Sets the origin of a robot that waits for it."""

    def __init__(self) -> None:
        rclpy.init()
        self._node = rclpy.create_node("operator")
        self._client = self._node.create_client(Trigger, "collect_node/set_origin")
        self.times = 0
        self._asked_t_s = -1.0

    def set_origin(self, t_s: float) -> None:
        """Once for what was said at a time of the session."""
        if t_s <= self._asked_t_s + 1.0 or not self._client.wait_for_service(5.0):
            return
        self._asked_t_s = t_s
        answer = self._client.call_async(Trigger.Request())
        rclpy.spin_until_future_complete(self._node, answer, timeout_sec=5.0)
        result = answer.result() if answer.done() else None
        self.times += int(result is not None and result.success)

    def close(self) -> None:
        self._node.destroy_node()
        rclpy.shutdown()


class Session:
    """The three processes, one start after the other in one folder."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.folder: Path = options.out
        self.folder.mkdir(parents=True, exist_ok=True)
        common = {"realtime_priority": options.priority}
        self._parameters: dict[str, dict[str, Any]] = {
            "simulated_robot_node": {
                **common,
                "variant": options.variant,
                "odometry_drift": options.drift,
            },
            "policy_node": {
                **common,
                "bundle": str(options.bundle),
                "autostart": True,
                "autostart_timeout_s": LONGEST_START_S,
                "log_dir": str(self.folder / "data"),
                "log_source": "sim",
                "on_log_failure": "hold",
                "excitation": options.excitation,
                "summary_file": str(self.folder / "summary.json"),
            },
            "collect_node": {
                "bundle": str(options.bundle),
                "session": str(self.folder),
                "hours": options.minutes / 60.0,
                "excitation": options.excitation,
                "origin_when_armed": True,
            },
        }
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROS_PACKAGE), str(REPOSITORY)]),
            "OMP_NUM_THREADS": "1",
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.starts = 0
        self.summaries: list[dict[str, Any]] = []

    def start(self) -> None:
        self.starts += 1
        (self.folder / "summary.json").unlink(missing_ok=True)
        for node in NODES:
            words = [sys.executable, "-m", f"rwmu_ros.{node}", "--ros-args"]
            for name, value in self._parameters[node].items():
                words += ["-p", f"{name}:={json.dumps(value)}"]
            if node == "simulated_robot_node":
                # Another robot of the same kind after every start: payload, friction, encoders.
                words += ["-p", f"variant_seed:={self.starts}"]
            with (self.folder / f"{node}_{self.starts}.txt").open("wb") as output:
                self._running[node] = subprocess.Popen(
                    words, env=self._environment, stdout=output, stderr=subprocess.STDOUT
                )

    def ended(self) -> dict[str, int]:
        """Exit codes of processes that ended by themselves."""
        codes = {node: process.poll() for node, process in self._running.items()}
        return {node: code for node, code in codes.items() if code is not None}

    def end(self) -> None:
        """In an operator's order, the robot last."""
        for node in reversed(NODES):
            process = self._running.pop(node)
            process.send_signal(signal.SIGINT)
            process.wait(60.0)
        if (self.folder / "summary.json").exists():
            self.summaries.append(json.loads((self.folder / "summary.json").read_text()))

    def cut_power(self) -> None:
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait()
        self._running.clear()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut_power()

    def recover(self) -> dict[str, Any]:
        """`rwmu-recover` on the log; what it says, and its exit code."""
        found = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from rwmu_deploy.cli.recover import main; sys.exit(main())",
                str(self.folder / "data"),
            ],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return {"exit_code": found.returncode, "said": found.stdout.strip().splitlines()}


def published_rows(folder: Path) -> list[int]:
    """Rows of each segment, in order."""
    names = [re.fullmatch(r"state_action_data_(\d+)\.csv", file.name) for file in folder.iterdir()]
    numbers = sorted(int(name[1]) for name in names if name)
    assert numbers == list(range(len(numbers))), f"segments {numbers} are not numbered through"
    files = [folder / f"state_action_data_{number}.csv" for number in numbers]
    return [len(file.read_bytes().splitlines()) for file in files]


def nearest_to_edge_m(folder: Path) -> float:
    """Least distance to the edge that odometry had, below 0 beyond it."""
    depths = [np.inf]
    for file in folder.glob("path_*.csv"):
        with file.open(newline="") as opened:
            places = [(float(row["x_m"]), float(row["y_m"])) for row in csv.DictReader(opened)]
        depths += CollectPlan().area.depth_m(np.array(places).reshape(-1, 2)).tolist()
    return float(np.nanmin(depths))


def run(options: argparse.Namespace) -> dict[str, Any]:
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ["ROS_DOMAIN_ID"] = str(110 + os.getpid() % 40)
    session, operator = Session(options), Operator()
    cut: dict[str, Any] = {}
    lifts: list[str] = []
    began_s = time.monotonic()
    console = Console(stderr=True)
    with session, Progress(console=console) as bar:
        task = bar.add_task("walking", total=60.0 * options.minutes)
        session.start()
        damped_since_s = time.monotonic() + LONGEST_START_S
        while "collect_node" not in session.ended():
            time.sleep(0.5)
            progress = read_progress(session.folder) or {}
            bar.update(task, completed=progress.get("walked_s", 0.0))
            now_s = time.monotonic()
            if progress.get("state") == "RUN" or progress.get("mode") == "over":
                damped_since_s = now_s
            if progress.get("reason", "").startswith("the origin is old"):
                operator.set_origin(progress["t_s"])
            if now_s - damped_since_s > LIFTED_AFTER_S:
                lifts.append(f"{progress.get('state')}: {'; '.join(progress.get('reasons', []))}")
                session.end()
                session.start()
                damped_since_s = time.monotonic() + LONGEST_START_S
            elif not cut and progress.get("walked_s", 0.0) > 30.0 * options.minutes:
                session.cut_power()
                told = (read_progress(session.folder) or {})["rows"]
                cut = {"rows_told_before": told, **session.recover()}
                cut["rows_published_after"] = sum(published_rows(session.folder / "data"))
                session.start()
                damped_since_s = time.monotonic() + LONGEST_START_S
        code = session.ended()["collect_node"]
        session.end()
    operator.close()
    segments = published_rows(session.folder / "data")
    progress = read_progress(session.folder) or {}
    return {
        "minutes": options.minutes,
        "wall_minutes": round((time.monotonic() - began_s) / 60.0, 2),
        "exit_code": code,
        "starts": session.starts,
        "lifted": lifts,
        "origins_set": operator.times,
        "power_cut": cut,
        "rows": sum(segments),
        "segments": len(segments),
        "nearest_to_edge_by_odometry_m": round(nearest_to_edge_m(session.folder), 3),
        "session": {
            name: progress[name] for name in ("walked_s", "way_m", "dropped", "coverage", "events")
        },
        "runs": [
            {
                name: summary.get(name)
                for name in ("ticks", "overruns", "skipped_ticks", "scheduling", "counters", "log")
            }
            for summary in session.summaries
        ],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="of walking")
    parser.add_argument("--out", type=Path, required=True, help="folder of the session")
    parser.add_argument("--bundle", type=Path, default=SHIPPED)
    parser.add_argument("--variant", default="field")
    parser.add_argument("--drift", type=float, default=0.02, help="of odometry, over the way")
    parser.add_argument("--excitation", type=float, default=0.0)
    parser.add_argument("--priority", type=int, default=20, help="realtime_priority of two nodes")
    print(json.dumps(run(parser.parse_args()), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
