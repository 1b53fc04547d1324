"""Unitree's robot over real DDS: the real serialiser, and the same node against a simulated G1."""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.context import Context
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message, serialize_message
from standing_bundle import export_standing_bundle
from standing_robot import Spinner

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [
    str(REPOSITORY / "ros2_ws" / "src" / "rwmu_unitree"),
    str(REPOSITORY / "tests" / "deploy" / "robots"),
]
messages = pytest.importorskip(
    "unitree_hg.msg", reason="ros2_ws/build_messages.sh was not run: no unitree_hg"
)
api = pytest.importorskip("unitree_api.msg", reason="as above: no unitree_api")

from g1_frames import (  # noqa: E402
    SPEC,
    drawn_frame,
    healthy_frame,
    on_the_wire,
    remote_bytes,
)
from rwmu_ros.node_parameters import declare_parameters, read_parameters  # noqa: E402
from rwmu_ros.policy_node import PolicyNode  # noqa: E402
from rwmu_unitree import motion_service  # noqa: E402
from rwmu_unitree.command_repeater import CommandRepeater  # noqa: E402
from rwmu_unitree.low_level_link import LOW_LEVEL  # noqa: E402
from rwmu_unitree.simulated_robot_node import SimulatedRobotNode  # noqa: E402

from rwmu_deploy.contract.command_range import CommandRange  # noqa: E402
from rwmu_deploy.contract.robot_state import position_command  # noqa: E402
from rwmu_deploy.robots.unitree.cdr import from_cdr, to_cdr  # noqa: E402
from rwmu_deploy.robots.unitree.frames import LOW_COMMAND, LOW_STATE  # noqa: E402
from rwmu_deploy.robots.unitree.low_command import LowCommandWriter  # noqa: E402
from rwmu_deploy.robots.unitree.motion_service import (  # noqa: E402
    RELEASE,
    REQUEST_TOPIC,
    RESPONSE_TOPIC,
)
from rwmu_deploy.robots.unitree.motor_order import MOTOR_NAMES  # noqa: E402
from rwmu_deploy.runtime.arming import HEALTHY_S  # noqa: E402

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


def test_the_real_serialiser_reads_and_writes_the_same_state() -> None:
    frame = drawn_frame(np.random.default_rng(5))
    data = on_the_wire(frame)
    message = deserialize_message(data, messages.LowState)
    assert (message.tick, message.crc) == (frame["tick"], frame["crc"])
    assert list(message.wireless_remote) == frame["wireless_remote"].tolist()
    for motor, expected in zip(message.motor_state, frame["motor_state"], strict=True):
        assert (motor.mode, motor.q, motor.tau_est) == (
            expected["mode"],
            expected["q"],
            expected["tau_est"],
        )
    again = from_cdr(serialize_message(message), LOW_STATE, "LowState")
    assert again.tobytes() == frame.tobytes()


def test_the_real_serialiser_reads_and_writes_the_same_command() -> None:
    command = position_command(SPEC, np.linspace(-0.2, 0.2, 29))
    data = to_cdr(LowCommandWriter(SPEC).frame(command, 5), LOW_COMMAND)
    message = deserialize_message(data, messages.LowCmd)
    assert (message.mode_pr, message.mode_machine) == (0, 5)
    assert [motor.mode for motor in message.motor_cmd] == [1] * 29 + [0] * 6
    expected = command.position_rad.astype(np.float32).tolist()
    assert [motor.q for motor in message.motor_cmd[:29]] == expected
    again = from_cdr(serialize_message(message), LOW_COMMAND, "LowCmd")
    assert again.tobytes() == from_cdr(data, LOW_COMMAND, "LowCmd").tobytes()


def test_a_command_is_said_again_and_damping_where_nobody_means_it() -> None:
    said: list[bytes] = []
    repeater = CommandRepeater(said.append, silent_after_s=0.1)
    time.sleep(0.05)
    assert said == []
    repeater.say(b"stand", b"damp")
    time.sleep(0.3)
    held = said.count(b"stand")
    # Dropped grid points of a loaded machine make it fewer, never more.
    assert 5 <= held <= 55
    assert set(said[held:]) == {b"damp"}
    assert repeater.silences == 1
    repeater.rest()
    assert said[-50:] == [b"damp"] * 50
    count = len(said)
    time.sleep(0.05)
    assert len(said) == count
    repeater.close()


class Stage:
    """The policy node with the robot's link, and the robot."""

    def __init__(self, context: Context, bundle: Path, **settings: Any) -> None:
        machine = settings.pop("robot_says", 5)
        sequence = settings.pop("velocity_sequence", "")
        overrides = {
            **{"bundle": str(bundle), "robot": "g1", "base_frame": "pelvis"},
            **{"command_topic": "/lowcmd", "contacts_topic": "", "stand_up_s": 0.5},
            **settings,
        }
        self.robot = SimulatedRobotNode(
            context=context,
            parameter_overrides=[
                Parameter("mode_machine", value=machine),
                Parameter("velocity_sequence", value=sequence),
                # One process has to turn it all here, and its clock does not wait.
                Parameter("rate_hz", value=200.0),
            ],
        )
        self.node = PolicyNode(
            link_kind=LOW_LEVEL,
            context=context,
            parameter_overrides=[Parameter(name, value=v) for name, v in overrides.items()],
        )
        self.spinner = Spinner(context)
        for node in (self.node, self.robot):
            self.spinner.executor.add_node(node)

    def is_up(self) -> bool:
        return self.node.state()["state"] in ("RUN", "HOLD")

    def wait_for_sensors(self) -> None:
        try:
            self.spinner.until(lambda: self.node.healthy_s >= HEALTHY_S)
        except AssertionError:
            pytest.fail(f"not healthy: {self.node.numbers()}, {self.robot.robot.dropped_s} s left")

    def close(self) -> None:
        self.node.end("test over")
        self.robot.end()
        self.spinner.executor.shutdown()
        self.node.destroy_node()
        self.robot.destroy_node()


def forward(one: Stage) -> float:
    """What the policy follows [m/s]."""
    return next(iter(one.node.numbers().get("velocity_command", ())), math.nan)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_standing_bundle(tmp_path_factory.mktemp("g1"), "g1")


@pytest.fixture
def stage(ros_context: Context, bundle: Path, undisturbed: None) -> Iterator[Any]:
    made: list[Stage] = []

    def make(**settings: Any) -> Stage:
        made.append(Stage(ros_context, bundle, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_the_node_stands_the_robot_up_and_damps_it_at_the_end(stage: Any) -> None:
    one = stage()
    assert one.node.trigger_configure() == SUCCESS
    one.wait_for_sensors()
    assert one.robot.heard == 0
    assert one.node.trigger_activate() == SUCCESS
    one.spinner.until(lambda: one.node.state()["phase"] == "policy" or not one.is_up())
    assert one.is_up(), (one.node.state(), one.node.numbers())
    # More than the 26 that the loop alone sends in half a second.
    assert one.robot.heard > 40
    assert not one.robot.wire.refused
    assert one.node.trigger_deactivate() == SUCCESS
    heard = one.robot.heard
    end_s = time.monotonic() + 0.1
    one.spinner.until(lambda: time.monotonic() > end_s)
    assert one.robot.heard <= heard + 1


def test_the_stop_chord_stops_and_stays_so(stage: Any) -> None:
    one = stage()
    assert one.node.trigger_configure() == SUCCESS
    one.wait_for_sensors()
    assert one.node.trigger_activate() == SUCCESS
    rest = one.robot.wire.remote
    one.robot.wire.remote = rest[:2] + (1 << 5 | 1 << 9).to_bytes(2, "little") + rest[4:]
    one.spinner.until(lambda: one.node.state()["state"] == "STOPPED")
    one.robot.wire.remote = rest
    end_s = time.monotonic() + 0.1
    one.spinner.until(lambda: time.monotonic() > end_s)
    assert "remote_e_stop" in one.node.state()["reasons"][0]
    # Neither a new activation, nor one after deactivating, gets past it.
    assert one.node.trigger_deactivate() == SUCCESS
    one.wait_for_sensors()
    assert one.node.trigger_activate() == FAILURE
    assert "L2 and B" in one.node.refusal


def test_other_hardware_is_not_armed(stage: Any) -> None:
    one = stage(robot_says=4)
    assert one.node.trigger_configure() == SUCCESS
    end_s = time.monotonic() + 0.3
    one.spinner.until(lambda: time.monotonic() > end_s)
    assert one.node.trigger_activate() == FAILURE
    assert "mode_machine_mode_pr: 4 and 0; allowed is 5 and 0" in one.node.refusal


def test_a_second_commander_keeps_the_robot_from_being_armed(stage: Any) -> None:
    one = stage()
    other = one.robot.create_publisher(messages.LowCmd, "/lowcmd", 1)
    assert one.node.trigger_configure() == SUCCESS
    one.wait_for_sensors()
    assert one.node.trigger_activate() == FAILURE
    assert "simulated_robot publishes joint commands too" in one.node.refusal
    one.robot.destroy_publisher(other)


def test_a_bundle_of_another_number_of_joints_is_refused(stage: Any) -> None:
    one = stage(mode_machine=4)
    assert one.node.trigger_configure() == FAILURE
    assert "has 29 joints, hardware 4" in one.node.refusal


def test_a_battery_that_is_low_or_unheard_keeps_the_robot_from_being_armed(stage: Any) -> None:
    one = stage()
    one.robot.battery_percent = 15
    assert one.node.trigger_configure() == SUCCESS
    one.wait_for_sensors()
    assert one.node.trigger_activate() == FAILURE
    assert "battery: " in one.node.refusal
    one.robot.battery_percent = 90
    one.spinner.until(lambda: one.node.numbers()["robot"]["battery_percent"] == 90.0)
    assert one.node.trigger_activate() == SUCCESS


def test_start_and_sticks_of_the_remote_arm_and_steer(stage: Any) -> None:
    one = stage(velocity="remote")
    assert one.node.trigger_configure() == SUCCESS
    one.wait_for_sensors()
    one.robot.wire.remote = remote_bytes(bits=1 << 2, left=(0.0, 1.0))
    one.spinner.until(lambda: one.node.is_active)
    one.robot.wire.remote = remote_bytes(left=(0.0, 1.0))
    one.spinner.until(lambda: forward(one) == 1.0)


def test_an_operators_sequence_steers(stage: Any) -> None:
    one = stage(velocity_sequence="[[30, 0.25, 0, 0]]")
    assert one.node.trigger_configure() == SUCCESS
    one.wait_for_sensors()
    assert one.node.trigger_activate() == SUCCESS
    one.spinner.until(lambda: forward(one) == 0.25)


def test_a_silent_remote_lets_the_robot_stand_and_then_damps_it(stage: Any) -> None:
    one = stage(velocity="remote")
    assert one.node.trigger_configure() == SUCCESS
    one.wait_for_sensors()
    one.robot.wire.remote = remote_bytes(left=(0.0, 1.0))
    assert one.node.trigger_activate() == SUCCESS
    one.spinner.until(lambda: forward(one) == 1.0)
    one.robot.wire.remote = bytes(40)
    one.spinner.until(lambda: forward(one) == 0.0)
    assert one.is_up()
    one.spinner.until(lambda: one.node.state()["state"] == "DAMP")
    assert "remote_lost" in one.node.state()["reasons"][0]


class Service:
    """The robot's own motion service, whose mode ends so many questions after its release."""

    def __init__(self, context: Context, mode: str, lasts: int = 2) -> None:
        self.node = Node("motion_switcher", context=context)
        self.mode, self.lasts, self.released = mode, lasts, False
        self.says = self.node.create_publisher(api.Response, RESPONSE_TOPIC, 10)
        self.node.create_subscription(api.Request, REQUEST_TOPIC, self.answer, 10)

    def answer(self, request: Any) -> None:
        answer = api.Response()
        answer.header.identity = request.header.identity
        if request.header.identity.api_id == RELEASE:
            self.released = True
        else:
            is_on = not self.released or self.lasts > 0
            self.lasts -= self.released
            answer.data = json.dumps({"form": "0", "name": self.mode if is_on else ""})
        self.says.publish(answer)


def test_what_messages_waited_on_their_way_is_no_motion(ros_context: Context) -> None:
    node = Node("bare", context=ros_context)
    declare_parameters(node)
    LOW_LEVEL.declare(node)
    nowhere = {"robot": SPEC.name, "bundle": ".", "odom_topic": ""}
    node.set_parameters([Parameter(name, value=value) for name, value in nowhere.items()])
    words = (node, SPEC, CommandRange((0.0,) * 3, (0.0,) * 3), read_parameters(node))
    knees = [i for i, name in enumerate(MOTOR_NAMES) if "knee" in name]
    seen = []
    for delay_s in (0.02, 0.001):
        link = LOW_LEVEL.open(*words)
        for number in range(3):
            frame = healthy_frame(tick=1000 + 20 * number)
            # Knees that carry the robot, and begin to turn.
            frame["motor_state"]["dq"][knees] = -1.0 * number
            frame["motor_state"]["tau_est"][knees] = -30.0
            assert link.sources[0].offer(on_the_wire(frame), 5.0 + delay_s * number)
            state = link.latest_state()
        seen.append(np.concatenate([state.contact, state.base_linear_velocity_mps]))
        link.close()
    node.destroy_node()
    assert seen[0].any()
    np.testing.assert_array_equal(*seen)


@pytest.fixture
def asked(ros_context: Context) -> Iterator[Any]:
    """Run the command against a service that has this mode on."""
    nodes: list[Node] = []
    spinner = Spinner(ros_context)
    thread = threading.Thread(target=spinner.executor.spin, daemon=True)

    def run(words: list[str], mode: str, typed: str = "") -> tuple[int, Service]:
        service = Service(ros_context, mode)
        client = Node("client", context=ros_context)
        nodes.extend((service.node, client))
        spinner.executor.add_node(service.node)
        thread.start()
        code = motion_service.run(motion_service.MotionService(client), words, lambda _: typed)
        return code, service

    yield run
    spinner.executor.shutdown()
    thread.join(5.0)
    for node in nodes:
        node.destroy_node()


def test_a_mode_is_released_when_its_name_was_typed(asked: Any, capsys: Any) -> None:
    code, service = asked(["release"], "ai", typed="ai")
    assert (code, service.released) == (0, True)
    assert "Mode ai is off" in capsys.readouterr().out


@pytest.mark.parametrize("typed", ["", "yes", "AI"])
def test_another_word_releases_nothing(asked: Any, typed: str) -> None:
    code, service = asked(["release"], "ai", typed=typed)
    assert (code, service.released) == (1, False)


def test_asking_alone_releases_nothing(asked: Any, capsys: Any) -> None:
    code, service = asked([], "ai", typed="ai")
    assert (code, service.released) == (1, False)
    assert "Mode ai is on" in capsys.readouterr().out


def test_where_no_mode_is_on_the_motors_are_free(asked: Any) -> None:
    assert asked(["release"], "")[0] == 0


def test_no_answer_is_not_taken_for_no_mode(
    ros_context: Context, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(motion_service, "ANSWER_S", 0.3)
    client = Node("client", context=ros_context)
    assert motion_service.run(motion_service.MotionService(client), ["release"]) == 1
    assert "nobody answers" in capsys.readouterr().err
    client.destroy_node()
