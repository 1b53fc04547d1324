"""T-28: the life cycle leaks nothing, and bad input leaves the node in its last safe state."""

from __future__ import annotations

import ctypes
import errno
import math
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rclpy.context import Context
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rwmu_ros import quality_of_service
from rwmu_ros.measurement_messages import MeasurementMessages, leg_major
from rwmu_ros.policy_node import PolicyNode
from standing_robot import SPEC, Spinner, StandingRobot
from std_msgs.msg import Empty, Float64MultiArray

from rwmu_deploy.collection.transition_journal import TransitionJournal
from rwmu_deploy.runtime.arming import HEALTHY_S

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
SENSORS = ("joint_states", "imu", "odom", "contacts")
NODES = 5


class Stage:
    """Policy nodes in one process, each in its namespace, before one standing robot."""

    def __init__(self, context: Context, bundle: Path, count: int, **settings: Any) -> None:
        overrides = {
            "bundle": str(bundle),
            "stand_up_s": 0.5,
            **{f"{topic}_topic": f"/{topic}" for topic in SENSORS},
            **settings,
        }
        self.robot = StandingRobot(context, "/n0/joint_command")
        self.spinner = Spinner(context)
        self.spinner.executor.add_node(self.robot)
        self.nodes = [
            PolicyNode(
                context=context,
                namespace=f"n{index}",
                parameter_overrides=[Parameter(k, value=v) for k, v in overrides.items()],
            )
            for index in range(count)
        ]
        for node in self.nodes:
            self.spinner.executor.add_node(node)

    def activate(self) -> None:
        for node in self.nodes:
            assert node.trigger_configure() == SUCCESS
        for node in self.nodes:
            for _ in range(3):
                self.spinner.until(lambda node=node: node.healthy_s >= HEALTHY_S)
                # A message that the transport hands over late forbids arming, as it should.
                if node.trigger_activate() == SUCCESS or "sensor_age" not in node.refusal:
                    break
            assert node.is_active, node.refusal

    def close(self) -> None:
        for node in self.nodes:
            node.end("test over")
        self.spinner.executor.shutdown()
        for node in [*self.nodes, self.robot]:
            node.destroy_node()


@pytest.fixture
def stage(
    ros_context: Context, standing_bundle: Path, undisturbed: None
) -> Iterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(count: int = 1, **settings: Any) -> Stage:
        made.append(Stage(ros_context, standing_bundle, count, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def held(stage: Stage) -> dict[str, int]:
    """What a life cycle might leave behind."""
    return {
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")),
        "publishers": sum(len(list(node.publishers)) for node in stage.nodes),
        "subscriptions": sum(len(list(node.subscriptions)) for node in stage.nodes),
    }


def test_life_cycles_leak_no_thread_file_publisher_or_subscription(
    stage: Callable[..., Stage],
    tmp_path: Path,
    count: Callable[[int, int], int],
    trials: Callable[[str, int], None],
) -> None:
    one = stage(NODES, log_dir=str(tmp_path))
    rounds: list[dict[str, int]] = []
    # The first round opens what stays open: caches, and sockets of the middleware.
    for _ in range(1 + count(10, 50) // NODES):
        one.activate()
        for node in one.nodes:
            # In mid-tick, whatever the phase of its loop.
            assert node.trigger_deactivate() == SUCCESS
            assert node.trigger_cleanup() == SUCCESS
        rounds.append(held(one))
    for kind, number in rounds[0].items():
        assert rounds[-1][kind] <= number, (kind, rounds)
    trials("T-28", count(10, 50))


def test_ros_time_that_stands_still_holds_nothing_up(stage: Callable[..., Stage]) -> None:
    one = stage(use_sim_time=True, autostart=True)
    # Nobody publishes /clock.
    one.spinner.until(lambda: one.nodes[0].state()["phase"] == "policy")


def test_a_listener_that_asks_for_more_than_commands_offer_is_named(
    stage: Callable[..., Stage], caplog: pytest.LogCaptureFixture
) -> None:
    one = stage()
    assert one.nodes[0].trigger_configure() == SUCCESS
    one.robot.create_subscription(
        Float64MultiArray,
        "/n0/joint_command",
        lambda message: None,
        QoSProfile(
            depth=1,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        ),
    )
    one.spinner.until(lambda: "DURABILITY" in caplog.text)
    assert "a listener on joint_command can't hear the commands" in caplog.text


def test_an_estop_is_heard_from_a_best_effort_publisher_too(stage: Callable[..., Stage]) -> None:
    one = stage()
    one.activate()
    button = one.robot.create_publisher(Empty, "/n0/policy_node/estop", quality_of_service.SENSOR)
    one.spinner.until(lambda: button.get_subscription_count() >= 1)
    button.publish(Empty())
    one.spinner.until(lambda: one.nodes[0].state()["state"] == "STOPPED")


Spoil = Callable[[Any], None]
UNUSABLE: dict[str, tuple[str, Spoil, str]] = {
    # Which message, what is wrong with it, and a word of why the robot is not armed.
    "degrees": (
        "joint_states",
        lambda joints: setattr(joints, "position", [math.degrees(x) for x in joints.position]),
        "sensor_implausible",
    ),
    "wrong size": (
        "joint_states",
        lambda joints: setattr(joints, "velocity", list(joints.velocity)[:11]),
        "12 names and 11 velocity values",
    ),
    "unknown joint": (
        "joint_states",
        lambda joints: setattr(joints, "name", ["LF_KNEE", *joints.name[1:]]),
        "LF_KNEE",
    ),
    "gravity upside down": (
        "imu",
        lambda imu: _set_quaternion(imu.orientation, x=1.0, w=0.0),
        "tilt_roll",
    ),
    "no unit quaternion": (
        "imu",
        lambda imu: _set_quaternion(imu.orientation, x=0.0, w=0.0),
        "norm 0, not 1",
    ),
    "orientation missing": (
        "imu",
        lambda imu: imu.orientation_covariance.__setitem__(0, -1.0),
        "no orientation",
    ),
    "another frame": (
        "imu",
        lambda imu: setattr(imu.header, "frame_id", "imu_link"),
        "allowed is 'base'",
    ),
    "not a number": (
        "odometry",
        lambda odom: setattr(odom.twist.twist.linear, "x", math.nan),
        "Publish finite numbers",
    ),
}


def _set_quaternion(quaternion: Any, *, x: float, w: float) -> None:
    quaternion.x, quaternion.y, quaternion.z, quaternion.w = x, 0.0, 0.0, w


class SpoiledMessages(MeasurementMessages):
    """As a robot's, and wrong in one way."""

    def __init__(self, kind: str, spoil: Spoil) -> None:
        super().__init__(SPEC, leg_major(SPEC.joint_names), "base")
        original = getattr(self, kind)

        def spoiled(*arguments: Any) -> Any:
            message = original(*arguments)
            spoil(message)
            return message

        setattr(self, kind, spoiled)


def test_measurements_that_can_not_be_right_are_refused_at_arming_in_words(
    stage: Callable[..., Stage],
) -> None:
    one = stage()
    node = one.nodes[0]
    for name, (kind, spoil, words) in UNUSABLE.items():
        one.robot._messages = SpoiledMessages(kind, spoil)
        assert node.trigger_configure() == SUCCESS
        link = node._link
        assert link is not None
        one.spinner.until(lambda link=link: all(s.accepted + s.refused > 3 for s in link.sources))
        assert node.trigger_activate() == FAILURE, name
        assert words in node.refusal, (name, node.refusal)
        assert "sensors_healthy" in node.refusal, name
        assert node.trigger_cleanup() == SUCCESS
    assert one.robot.commands == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-p", "stand_up_ss:=1.0"], "'stand_up_s' for 'stand_up_ss'"),
        (["-p", "on_log_failure:=panic"], "'ignore' and 'hold'"),
        (["-p", "bundle:=/nowhere"], "/nowhere"),
        (["-p", "imu_topic:=''"], "imu_topic is empty"),
    ],
)
def test_a_parameter_that_can_not_be_used_is_refused_at_configure_in_words(
    ros_context: Context, arguments: list[str], words: str
) -> None:
    node = PolicyNode(
        context=ros_context,
        cli_args=["--ros-args", "-p", "bundle:=none", *arguments],
    )
    assert node.trigger_configure() == FAILURE
    assert words in node.refusal
    assert not node.is_configured
    node.destroy_node()


@pytest.mark.parametrize("value", ["0.0", "-1.0", "1e9", ".nan", "two"])
def test_a_parameter_outside_its_range_ends_the_process_with_one_line(
    start_node: Callable[..., Any], tmp_path: Path, value: str
) -> None:
    process = start_node("policy_node", stand_up_s=value)
    assert process.wait(30.0) == 2
    said = (tmp_path / "policy_node.log").read_text().splitlines()
    assert len(said) == 1
    assert "stand_up_s" in said[0]
    assert "docs/ros2.md" in said[0]


def test_a_log_folder_that_can_not_be_written_forbids_arming(
    stage: Callable[..., Stage], tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    one = stage(log_dir=str(tmp_path / "taken"))
    node = one.nodes[0]
    assert node.trigger_configure() == SUCCESS
    one.spinner.until(lambda: node.healthy_s >= HEALTHY_S)
    assert node.trigger_activate() == FAILURE
    assert "1 checks failed: log_ready" in node.refusal
    assert one.robot.commands == []


@pytest.mark.parametrize(("wish", "state"), [("ignore", "RUN"), ("hold", "HOLD")])
def test_a_log_that_fails_holds_the_robot_where_that_is_wanted(
    stage: Callable[..., Stage],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wish: str,
    state: str,
) -> None:
    one = stage(log_dir=str(tmp_path), on_log_failure=wish)
    node = one.nodes[0]
    one.activate()
    one.spinner.until(lambda: node.state()["phase"] == "policy")

    def full(self: TransitionJournal, line: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(TransitionJournal, "append", full)
    one.spinner.until(lambda: node.numbers()["log_writing"]["failures"] > 0)
    ticks = node.numbers()["ticks"]
    one.spinner.until(lambda: node.numbers()["ticks"] > ticks + 5)
    assert node.state()["state"] == state
    assert (node.state()["reasons"] == []) is (state == "RUN")


@pytest.fixture
def unlocked() -> Iterator[None]:
    yield
    ctypes.CDLL(None).munlockall()


def test_scheduling_and_memory_are_stated_as_they_are(
    stage: Callable[..., Stage], unlocked: None
) -> None:
    one = stage(realtime_priority=20, lock_memory=True)
    one.activate()
    state = one.nodes[0].state()
    # A machine may not permit it; then it says so.
    assert state["scheduling"] in ("SCHED_FIFO 20", "refused, see the log")
    assert state["memory"] == "locked" or state["memory"].startswith("refused: ")
