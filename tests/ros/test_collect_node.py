"""A robot behind topics that walks by itself: fenced in, held when it must, ended as planned."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from rwmu_ros import quality_of_service
from rwmu_ros.collect_node import CollectNode
from rwmu_ros.message_conversion import velocity_command
from sensor_msgs.msg import BatteryState
from standing_robot import Spinner
from std_msgs.msg import Bool, Empty, String
from std_srvs.srv import Trigger

from rwmu_deploy.contract.errors import LogError, RwmuError
from rwmu_deploy.patrol.session_folder import read_progress

SHIPPED = Path(__file__).resolve().parents[2] / "exports" / "anymal_d_flat"
StartNode = Callable[..., "subprocess.Popen[bytes]"]


class World(Node):
    """What is around a collect node: odometry, a policy node's state, and ears."""

    def __init__(self, context: Context) -> None:
        super().__init__("world", context=context)
        self.pose = [0.0, 0.0, 0.0]
        self.state: dict[str, Any] = {"phase": "policy", "state": "RUN", "reasons": []}
        self.commands: list[np.ndarray] = []
        self.stops = 0
        self.has_pose = True
        self._stamp_ns = 0
        sensor, command = quality_of_service.SENSOR, quality_of_service.COMMAND
        self._odom = self.create_publisher(Odometry, "odom", sensor)
        self._said = self.create_publisher(String, "policy_node/state", quality_of_service.STATE)
        self.battery = self.create_publisher(BatteryState, "battery", sensor)
        self.hold = self.create_publisher(Bool, "collect_node/hold", command)
        self.set_origin = self.create_client(Trigger, "collect_node/set_origin")
        self.create_subscription(Twist, "cmd_vel", self._on_command, sensor)
        self.create_subscription(Empty, "policy_node/estop", self._on_stop, command)
        self.create_timer(0.02, self._publish)

    def _publish(self) -> None:
        self._stamp_ns += 20_000_000
        message = Odometry(child_frame_id="base")
        message.header.stamp.sec = 1 + self._stamp_ns // 1_000_000_000
        message.header.stamp.nanosec = self._stamp_ns % 1_000_000_000
        x, y, yaw = self.pose
        message.pose.pose.position.x, message.pose.pose.position.y = x, y
        message.pose.pose.orientation.w = math.cos(0.5 * yaw)
        message.pose.pose.orientation.z = math.sin(0.5 * yaw)
        if not self.has_pose:
            message.pose.covariance[0] = -1.0
        self._odom.publish(message)
        self._said.publish(String(data=json.dumps(self.state)))

    def _on_command(self, message: Twist) -> None:
        self.commands.append(velocity_command(message))

    def _on_stop(self, _: Empty) -> None:
        self.stops += 1


class Staged:
    """A collect node in its world."""

    def __init__(self, context: Context, session: Path, **parameters: Any) -> None:
        self.world = World(context)
        wanted = {"bundle": str(SHIPPED), "session": str(session), **parameters}
        self.node = CollectNode(
            context=context,
            parameter_overrides=[Parameter(name, value=value) for name, value in wanted.items()],
        )
        self.spinner = Spinner(context)
        for node in (self.world, self.node):
            self.spinner.executor.add_node(node)

    @property
    def progress(self) -> dict[str, Any]:
        return self.node.session.progress()

    def until_mode(self, mode: str, reason: str = "") -> None:
        self.spinner.until(
            lambda: self.progress.get("mode") == mode and reason in self.progress["reason"]
        )

    def set_origin(self) -> Trigger.Response:
        self.spinner.until(self.world.set_origin.service_is_ready)
        future = self.world.set_origin.call_async(Trigger.Request())
        self.spinner.until(future.done)
        return future.result()

    def close(self) -> None:
        self.node.end("the test")
        for node in (self.node, self.world):
            self.spinner.executor.remove_node(node)
            node.destroy_node()


@pytest.fixture
def stage(ros_context: Context, tmp_path: Path) -> Iterator[Callable[..., Staged]]:
    made: list[Staged] = []

    def make(**parameters: Any) -> Staged:
        made.append(Staged(ros_context, tmp_path / "session", **parameters))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_it_walks_only_once_the_origin_is_set(stage: Callable[..., Staged]) -> None:
    one = stage()
    one.until_mode("stand", "the origin is not set")
    one.spinner.until(lambda: len(one.world.commands) >= 5)
    assert not np.any(one.world.commands)
    answer = one.set_origin()
    assert answer.success
    one.until_mode("walk")
    one.world.commands.clear()
    one.spinner.until(lambda: any(np.any(command) for command in one.world.commands))


def test_topics_hold_it_and_let_it_go(stage: Callable[..., Staged]) -> None:
    one = stage()
    one.until_mode("stand")
    one.set_origin()
    one.until_mode("walk")
    one.world.hold.publish(Bool(data=True))
    one.until_mode("stand", "hold by topic")
    one.world.hold.publish(Bool(data=False))
    one.until_mode("walk")
    one.world.battery.publish(BatteryState(percentage=0.1))
    one.until_mode("stand", "battery low: 10 %")
    one.world.battery.publish(BatteryState(percentage=0.9))
    one.until_mode("walk")
    one.world.state = {"phase": "policy", "state": "HOLD", "reasons": ["sensor_age: odom"]}
    one.until_mode("stand", "robot in HOLD, policy: sensor_age: odom")


def test_beyond_the_edge_it_presses_the_emergency_stop(stage: Callable[..., Staged]) -> None:
    one = stage()
    one.until_mode("stand")
    one.set_origin()
    one.until_mode("walk")
    for step in range(200):
        one.world.pose = [0.025 * step, 0.0, 0.0]
        one.spinner.executor.spin_once(timeout_sec=0.0)
        end_s = time.monotonic() + 0.02
        one.spinner.until(lambda end_s=end_s: time.monotonic() >= end_s)
        if one.world.stops:
            break
    assert one.world.stops
    assert one.world.pose[0] == pytest.approx(4.0, abs=0.5)


def test_a_jump_of_odometry_makes_it_stand_until_the_origin_is_set(
    stage: Callable[..., Staged],
) -> None:
    one = stage()
    one.until_mode("stand")
    one.set_origin()
    one.until_mode("walk")
    one.world.pose = [1.5, 0.0, 0.0]
    one.until_mode("stand", "odometry jumped by 1.50 m")
    one.set_origin()
    one.until_mode("walk")


def test_an_odometry_without_a_pose_is_no_odometry(stage: Callable[..., Staged]) -> None:
    one = stage()
    one.world.has_pose = False
    one.until_mode("stand")
    answer = one.set_origin()
    assert not answer.success
    assert "has no pose" in answer.message


def test_a_policy_node_that_falls_silent_counts_as_damped(stage: Callable[..., Staged]) -> None:
    one = stage()
    one.until_mode("stand")
    one.set_origin()
    one.until_mode("walk")
    one.world._said.publish = lambda message: None
    # It may have been damped and carried meanwhile, for all that is known.
    one.until_mode("stand", "the robot was damped: set the origin again")


def test_a_second_session_in_the_folder_is_refused(stage: Callable[..., Staged]) -> None:
    stage()
    with pytest.raises(LogError, match="belongs to a session that runs"):
        stage()


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"bundle": ""}, "parameter bundle is empty"),
        ({"session": ""}, "parameter session is empty"),
        ({"bundle": "/nothing"}, "nothing"),
        ({"plan": "/nothing.yaml"}, "can't be read"),
    ],
)
def test_parameters_that_lead_nowhere_are_refused(
    ros_context: Context, tmp_path: Path, parameters: dict[str, str], said: str
) -> None:
    wanted = {"bundle": str(SHIPPED), "session": str(tmp_path / "s"), **parameters}
    overrides = [Parameter(name, value=value) for name, value in wanted.items()]
    with pytest.raises(RwmuError) as caught:
        CollectNode(context=ros_context, parameter_overrides=overrides)
    assert said in str(caught.value)


def test_a_robot_walks_its_session_by_itself_and_is_damped_at_its_end(
    start_node: StartNode, tmp_path: Path
) -> None:
    """Three processes that share nothing but DDS, in real time."""
    session = tmp_path / "session"
    start_node("simulated_robot_node", realtime_priority=20)
    start_node(
        "policy_node",
        bundle=SHIPPED,
        autostart=True,
        autostart_timeout_s=30.0,
        realtime_priority=20,
        log_dir=session / "data",
        log_source="sim",
        excitation=0.05,
    )
    collect = start_node(
        "collect_node",
        bundle=SHIPPED,
        session=session,
        hours=6.0 / 3600.0,
        excitation=0.05,
        origin_when_armed=True,
    )
    assert collect.wait(90.0) == 0, (tmp_path / "collect_node.log").read_text()
    progress = read_progress(session)
    assert progress is not None
    assert progress["walked_s"] == pytest.approx(6.0, abs=0.5)
    assert progress["way_m"] > 0.3
    assert progress["mode"] == "over"
    with (session / "path_0.csv").open(newline="") as file:
        path = list(csv.DictReader(file))
    walked = [row for row in path if row["mode"] == "walk"]
    assert len(walked) >= 50
    assert max(abs(float(row["x_m"])) for row in walked) < 4.0
    meta = json.loads((session / "data" / "state_action_data_0.meta.json").read_text())
    assert "Ornstein-Uhlenbeck" in json.dumps(meta)
    with (session / "data" / "state_action_data_0.csv").open() as file:
        rows = len(file.readlines())
    assert rows >= 200
