"""Policy node and simulated robot as processes of their own, in real time, over DDS."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rclpy.context import Context
from rclpy.parameter import Parameter
from rwmu_ros.simulated_robot_node import SimulatedRobotNode
from standing_robot import CommandEar, Spinner

from rwmu_deploy.simulation.robot_variant import FIELD

# A busy test machine must not decide whether a policy ran at 50 Hz.
PRIORITY = 20
# The watchdog stops a loop that is silent for 0.1 s. A stall that this process sees too, between
# two 5 ms sleeps, is the machine's.
STALL_S = 0.06
# So is a message that the transport hands over late, once.
LATE = "sensor_age"
StartNode = Callable[..., "subprocess.Popen[bytes]"]


class MachineStall:
    """The longest time for which a thread that only sleeps did not get to run."""

    def __enter__(self) -> MachineStall:
        self.longest_s = 0.0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _watch(self) -> None:
        before_s = time.monotonic()
        while not self._ending.wait(0.005):
            now_s = time.monotonic()
            self.longest_s = max(self.longest_s, now_s - before_s)
            before_s = now_s


def read_truth(path: Path) -> list[dict[str, float]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def ear_on(context: Context) -> tuple[CommandEar, Spinner]:
    ear, spinner = CommandEar(context), Spinner(context)
    spinner.executor.add_node(ear)
    return ear, spinner


def is_walking(ear: CommandEar) -> bool:
    return bool(ear.states) and ear.states[-1]["phase"] == "policy"


def test_policy_runs_at_50_hz_and_the_robot_stays_upright(
    start_node: StartNode, standing_bundle: Path, tmp_path: Path, ros_context: Context
) -> None:
    ear, spinner = ear_on(ros_context)
    for _ in range(3):
        robot = start_node(
            "simulated_robot_node",
            realtime_priority=PRIORITY,
            truth_file=tmp_path / "truth.csv",
            velocity_sequence="'[[1, 0.2, 0, 0], [60, 0, 0, 0.1]]'",
        )
        policy = start_node(
            "policy_node",
            bundle=standing_bundle,
            autostart=True,
            autostart_timeout_s=30.0,
            realtime_priority=PRIORITY,
            stand_up_s=1.0,
            log_dir=tmp_path / "log",
            log_source="sim",
            summary_file=tmp_path / "summary.json",
        )
        with MachineStall() as stall:
            spinner.until(lambda: is_walking(ear), timeout_s=30.0)
            end_s = time.monotonic() + 5.0
            spinner.until(lambda end_s=end_s: time.monotonic() >= end_s)
        last = ear.states[-1]
        was_late = {reason.partition(":")[0] for reason in last["reasons"]} == {LATE}
        if last["state"] == "RUN" or not (was_late or stall.longest_s > STALL_S):
            break
        # The machine itself stood still, and the robot damped as it should: walk again.
        for process in (policy, robot):
            process.send_signal(signal.SIGINT)
            process.wait(10.0)
        ear.states.clear()
        ear.commands.clear()
    assert last["state"] == "RUN", (last["reasons"], stall.longest_s)
    before = len(ear.commands)

    policy.send_signal(signal.SIGINT)
    asked_s = time.monotonic()
    spinner.until(lambda: policy.poll() is not None)
    assert time.monotonic() - asked_s < 3.0
    assert policy.returncode == 0
    damping = [command.is_damping for command in ear.commands[before:]]
    assert damping[-1]
    assert sum(damping) >= 5

    robot.send_signal(signal.SIGINT)
    assert robot.wait(10.0) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["ended_by"] == "SIGINT"
    assert summary["final_state"] == "RUN"
    rate_hz = (summary["ticks"] - 10) / summary["elapsed_s"]
    assert rate_hz == pytest.approx(50.0, rel=0.1)
    assert summary["rows_logged"] >= 200
    assert summary["topics"]["joint_states"]["refused"] == 0

    truth = read_truth(tmp_path / "truth.csv")
    driven = [row for row in truth if row["commands_received"] and not row["damping"]]
    assert len(driven) >= 200
    assert min(row["upright"] for row in driven) > 0.98
    assert min(row["base_height_m"] for row in driven) > 0.45
    assert not any(row["fell"] for row in driven)
    # The operator's sequence came through.
    assert {row["command_vx_mps"] for row in driven} >= {0.0, 0.2}
    # And after the policy's end the robot damped.
    assert truth[-1]["damping"] == 1.0
    ear.destroy_node()


def test_killed_policy_leaves_a_robot_that_damps(
    start_node: StartNode, standing_bundle: Path, tmp_path: Path, ros_context: Context
) -> None:
    ear, spinner = ear_on(ros_context)
    for _ in range(5):
        robot = start_node(
            "simulated_robot_node", realtime_priority=PRIORITY, truth_file=tmp_path / "truth.csv"
        )
        policy = start_node(
            "policy_node",
            bundle=standing_bundle,
            autostart=True,
            autostart_timeout_s=30.0,
            realtime_priority=PRIORITY,
            stand_up_s=0.5,
        )
        spinner.until(lambda: is_walking(ear), timeout_s=30.0)
        policy.kill()
        policy.wait()
        end_s = time.monotonic() + 1.5
        spinner.until(lambda end_s=end_s: time.monotonic() >= end_s)
        robot.terminate()
        assert robot.wait(10.0) == 0
        truth = read_truth(tmp_path / "truth.csv")
        if truth[-1]["damping"] == 0.0:
            break
        # On a machine that stood still for 0.1 s the policy had damped before it was killed, and
        # nothing was tried.
        ear.states.clear()
    # Nobody told it to damp; its own time limit did, and damped legs give way.
    assert truth[-1]["damping"] == 0.0
    assert truth[-1]["base_height_m"] < 0.4
    ear.destroy_node()


def test_autostart_without_a_robot_gives_up(
    start_node: StartNode, standing_bundle: Path, tmp_path: Path
) -> None:
    policy = start_node(
        "policy_node", bundle=standing_bundle, autostart=True, autostart_timeout_s=0.5
    )
    assert policy.wait(30.0) == 1
    said = (tmp_path / "policy_node.log").read_text()
    assert "autostart gave up" in said
    for topic in ("joint_states", "imu", "odom", "contacts"):
        assert f"{topic}: no message" in said


def test_autostart_without_a_bundle_gives_up(start_node: StartNode, tmp_path: Path) -> None:
    policy = start_node("policy_node", bundle=tmp_path / "nothing", autostart=True)
    assert policy.wait(30.0) == 1
    assert "configure refused" in (tmp_path / "policy_node.log").read_text()


def test_idle_policy_node_ends_cleanly_on_sigterm(
    start_node: StartNode, standing_bundle: Path, ros_context: Context
) -> None:
    ear, spinner = ear_on(ros_context)
    policy = start_node("policy_node", bundle=standing_bundle)
    spinner.until(lambda: ear.states, timeout_s=30.0)
    policy.terminate()
    assert policy.wait(10.0) == 0
    assert ear.commands == []
    ear.destroy_node()


def test_wrong_velocity_sequence_ends_the_simulated_robot(
    start_node: StartNode, tmp_path: Path
) -> None:
    robot = start_node("simulated_robot_node", velocity_sequence="'[[1, 2]]'")
    assert robot.wait(30.0) == 1
    assert "seconds, vx, vy, wz" in (tmp_path / "simulated_robot_node.log").read_text()


def test_an_unknown_variant_ends_the_simulated_robot(
    start_node: StartNode, tmp_path: Path
) -> None:
    robot = start_node("simulated_robot_node", variant="feild")
    assert robot.wait(30.0) == 1
    assert "Did you mean 'field'?" in (tmp_path / "simulated_robot_node.log").read_text()


def test_the_simulated_robot_can_be_the_field_robot(ros_context: Context) -> None:
    wanted = {"variant": "field", "variant_seed": 3}
    node = SimulatedRobotNode(
        context=ros_context,
        parameter_overrides=[Parameter(name, value=value) for name, value in wanted.items()],
    )
    try:
        assert node._robot.total_mass_kg == pytest.approx(54.63574)
        bias = FIELD.draw(1, 12, seed=3).encoder_bias_rad[0]
        measured = node._robot.latest_state().joint_position_rad
        true = node._robot.true_state().joint_position_rad
        assert abs(measured - true - bias).max() < 0.005  # the physics thread runs on in between
    finally:
        node.end()
        node.destroy_node()
