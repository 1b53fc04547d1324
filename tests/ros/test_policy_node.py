"""The policy node over real DDS: life cycle, refusals, e-stop."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rwmu_ros import quality_of_service
from rwmu_ros.policy_node import PolicyNode
from standing_robot import SPEC, Spinner, StandingRobot, trembling
from std_msgs.msg import Empty, Float64MultiArray
from std_srvs.srv import Trigger

from rwmu_deploy.collection.flight_file import read_flight
from rwmu_deploy.runtime.arming import HEALTHY_S
from rwmu_deploy.runtime.flight_replay import replay_flight

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class Stage:
    """A policy node, a standing robot, and what turns them."""

    def __init__(self, context: Context, bundle: Path, command_topic: str, **settings: Any):
        overrides = {"bundle": str(bundle), "stand_up_s": 0.5, **settings}
        self.node = PolicyNode(
            context=context,
            parameter_overrides=[Parameter(name, value=v) for name, v in overrides.items()],
        )
        self.robot = StandingRobot(context, command_topic)
        self.spinner = Spinner(context)
        self.spinner.executor.add_node(self.node)
        self.spinner.executor.add_node(self.robot)

    def configure(self) -> None:
        assert self.node.trigger_configure() == SUCCESS

    def activate(self) -> None:
        """Wait for a second of healthy sensors, then activate."""
        self.spinner.until(lambda: self.node.healthy_s >= HEALTHY_S)
        assert self.node.trigger_activate() == SUCCESS

    def last_state(self) -> dict[str, Any]:
        return self.robot.states[-1] if self.robot.states else {}

    def close(self) -> None:
        self.node.end("test over")
        self.spinner.executor.shutdown()
        self.node.destroy_node()
        self.robot.destroy_node()


@pytest.fixture
def stage(
    ros_context: Context, standing_bundle: Path, undisturbed: None
) -> Iterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(command_topic: str = "joint_command", **settings: Any) -> Stage:
        bundle = settings.pop("bundle", standing_bundle)
        made.append(Stage(ros_context, bundle, command_topic, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_node_stands_up_and_then_runs_the_policy(stage: Callable[..., Stage]) -> None:
    one = stage()
    one.configure()
    one.activate()
    one.spinner.until(lambda: one.last_state().get("phase") == "policy")
    one.spinner.until(lambda: len(one.robot.commands) >= 40)
    assert one.last_state()["state"] == "RUN"
    for command in one.robot.commands:
        assert command.kp_nm_per_rad.tolist() == SPEC.kp_nm_per_rad.tolist()
        assert command.kd_nms_per_rad.tolist() == SPEC.kd_nms_per_rad.tolist()
        # A robot that stands is asked for nothing but the default pose.
        assert abs(command.position_rad - SPEC.default_position_rad).max() < 1e-9


def test_node_is_silent_until_active_and_damps_when_deactivated(
    stage: Callable[..., Stage],
) -> None:
    one = stage()
    one.configure()
    one.spinner.until(lambda: one.last_state().get("configured"))
    assert one.robot.commands == []
    one.activate()
    one.spinner.until(lambda: len(one.robot.commands) >= 10)
    assert one.node.trigger_deactivate() == SUCCESS
    # A queue of one keeps the last command, and that one damps.
    one.spinner.until(lambda: one.robot.commands[-1].is_damping)
    one.spinner.until(lambda: one.last_state().get("phase") == "disarmed")
    # The state repeats every second: fifty ticks would have been heard meanwhile.
    heard, states = len(one.robot.commands), len(one.robot.states)
    one.spinner.until(lambda: len(one.robot.states) >= states + 2)
    assert len(one.robot.commands) == heard


def test_life_cycle_leaves_no_thread_and_no_topic_behind(stage: Callable[..., Stage]) -> None:
    one = stage()
    threads = threading.active_count()
    for _ in range(3):
        one.configure()
        one.activate()
        one.spinner.until(lambda: one.last_state().get("active"))
        assert threading.active_count() > threads
        assert one.node.trigger_deactivate() == SUCCESS
        assert one.node.trigger_cleanup() == SUCCESS
        one.spinner.until(lambda: threading.active_count() == threads)
        assert "joint_command" not in {p.topic_name.strip("/") for p in one.node.publishers}
        assert not {"/imu", "/odom", "/joint_states", "/cmd_vel"} & {
            subscription.topic_name for subscription in one.node.subscriptions
        }


@pytest.mark.parametrize("contacts_topic", ["contacts", ""])
def test_without_an_odometry_the_velocity_is_estimated(
    stage: Callable[..., Stage], tmp_path: Path, contacts_topic: str
) -> None:
    log = tmp_path / "log"
    one = stage(odom_topic="", contacts_topic=contacts_topic, log_dir=str(log))
    one.configure()
    one.activate()
    one.spinner.until(lambda: one.last_state().get("phase") == "policy")
    assert one.last_state()["state"] == "RUN"
    topics = one.node.numbers()["topics"]
    assert "odom" not in topics
    assert ("contacts" in topics) is bool(contacts_topic)
    one.node.end("test over")
    (sidecar,) = log.rglob("*.meta.json")
    assert "standing feet" in json.loads(sidecar.read_text())["base_velocity_source"]


def test_run_ends_with_its_numbers(stage: Callable[..., Stage], tmp_path: Path) -> None:
    one = stage(
        log_dir=str(tmp_path / "log"),
        log_source="sim",
        summary_file=str(tmp_path / "summary.json"),
        run_seconds=1.5,
    )
    one.configure()
    one.activate()
    one.spinner.until(lambda: one.node.exit_code == 0)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["ended_by"] == "run_seconds are over"
    assert summary["final_state"] == "RUN"
    # 1.5 s at 50 Hz, the first 0.5 s of it standing up; ten damping ticks at the end.
    assert 60 <= summary["ticks"] <= 100
    assert 30 <= summary["rows_logged"] <= 75
    segment = Path(summary["log"]["segments"][0])
    assert len(segment.read_text().splitlines()) == summary["rows_logged"]
    sidecar = json.loads(segment.with_suffix(".meta.json").read_text())
    assert summary["bundle_sha256"] in json.dumps(sidecar)


def test_altered_bundle_is_not_configured(
    stage: Callable[..., Stage], standing_bundle: Path, tmp_path: Path
) -> None:
    altered = tmp_path / "standing"
    shutil.copytree(standing_bundle, altered)
    model = bytearray((altered / "policy.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (altered / "policy.onnx").write_bytes(model)
    one = stage(bundle=altered)
    assert one.node.trigger_configure() == FAILURE
    assert "joint_command" not in {p.topic_name.strip("/") for p in one.node.publishers}


def test_other_bundle_than_the_expected_is_not_configured(stage: Callable[..., Stage]) -> None:
    assert stage(expected_sha256="0" * 64).node.trigger_configure() == FAILURE


def test_robot_without_sensors_is_not_armed(stage: Callable[..., Stage]) -> None:
    one = stage()
    one.robot.is_publishing = False
    one.configure()
    assert one.node.trigger_activate() == FAILURE
    assert "sensors_healthy" in one.node.refusal
    assert "imu: no message" in one.node.refusal
    assert one.robot.commands == []


def test_sensors_that_fall_silent_end_in_damping_and_in_a_recording(
    stage: Callable[..., Stage], tmp_path: Path
) -> None:
    one = stage(flight_dir=str(tmp_path / "flights"))
    one.configure()
    one.activate()
    one.spinner.until(lambda: one.last_state().get("phase") == "policy")
    one.robot.is_publishing = False
    one.spinner.until(lambda: one.last_state().get("state") == "DAMP")
    assert "sensor_age" in one.last_state()["reasons"][0]
    one.spinner.until(lambda: one.robot.commands[-1].is_damping)
    one.node.end("test over")
    (path,) = (tmp_path / "flights").iterdir()
    flight = read_flight(path)
    assert "sensor_age" in flight.triggers[0].why
    assert replay_flight(flight).differences == []


def test_second_commander_prevents_arming(stage: Callable[..., Stage]) -> None:
    one = stage()
    one.configure()
    one.robot.create_publisher(Float64MultiArray, "joint_command", quality_of_service.COMMAND)
    link = one.node._link
    assert link is not None
    one.spinner.until(lambda: link.other_commanders() == ["/command_ear"])
    one.spinner.until(lambda: one.node.healthy_s >= HEALTHY_S)
    assert one.node.trigger_activate() == FAILURE
    assert "1 checks" in one.node.refusal
    assert "/command_ear" in one.node.refusal


def test_second_commander_stops_a_running_policy(
    stage: Callable[..., Stage], caplog: pytest.LogCaptureFixture
) -> None:
    one = stage()
    one.configure()
    one.activate()
    one.spinner.until(lambda: one.robot.commands)
    one.robot.create_publisher(Float64MultiArray, "joint_command", quality_of_service.COMMAND)
    one.spinner.until(lambda: one.last_state().get("state") == "STOPPED")
    assert one.last_state()["reasons"] == ["second commander on the joint commands"]
    one.spinner.until(lambda: one.robot.commands[-1].is_damping)
    one.spinner.until(lambda: "second commander: /command_ear" in caplog.text)


def test_estop_service_damps_and_stays(stage: Callable[..., Stage]) -> None:
    one = stage()
    one.configure()
    one.activate()
    one.spinner.until(lambda: one.last_state().get("phase") == "policy")
    client = one.robot.create_client(Trigger, "policy_node/estop")
    one.spinner.until(client.service_is_ready)
    future = client.call_async(Trigger.Request())
    one.spinner.until(future.done)
    response = future.result()
    assert response is not None
    assert response.success
    one.spinner.until(lambda: one.robot.commands[-1].is_damping)
    damped = len(one.robot.commands)
    one.spinner.until(lambda: len(one.robot.commands) >= damped + 25)
    assert all(command.is_damping for command in one.robot.commands[damped:])
    assert one.last_state()["state"] == "STOPPED"
    # Only a new configuration clears it.
    assert one.node.trigger_deactivate() == SUCCESS
    one.spinner.until(lambda: one.node.healthy_s >= HEALTHY_S)
    assert one.node.trigger_activate() == FAILURE
    assert one.node.trigger_cleanup() == SUCCESS
    one.configure()
    one.activate()


def test_estop_topic_damps(stage: Callable[..., Stage]) -> None:
    one = stage()
    one.configure()
    one.activate()
    button = one.robot.create_publisher(Empty, "policy_node/estop", quality_of_service.COMMAND)
    one.spinner.until(lambda: button.get_subscription_count() >= 1)
    button.publish(Empty())
    one.spinner.until(lambda: one.last_state().get("state") == "STOPPED")
    one.spinner.until(lambda: one.robot.commands[-1].is_damping)


def test_dry_run_leaves_the_command_topic_alone(stage: Callable[..., Stage]) -> None:
    one = stage(
        "joint_command/dry_run",
        dry_run=True,
        position_command_topic="positions",
        position_command_joints=list(SPEC.joint_names),
    )
    one.configure()
    one.activate()
    one.spinner.until(lambda: len(one.robot.commands) >= 10)
    assert one.node.count_publishers("joint_command") == 0
    assert one.node.count_publishers("positions") == 0


def test_position_controller_gets_its_own_order_and_nothing_while_damping(
    stage: Callable[..., Stage],
) -> None:
    order = list(reversed(SPEC.joint_names))
    one = stage(position_command_topic="positions", position_command_joints=order)
    heard: list[list[float]] = []
    one.robot.create_subscription(
        Float64MultiArray,
        "positions",
        lambda message: heard.append(list(message.data)),
        quality_of_service.COMMAND,
    )
    one.configure()
    one.activate()
    one.spinner.until(lambda: len(heard) >= 10)
    assert heard[-1] == pytest.approx(SPEC.default_position_rad[::-1].tolist())
    assert one.node._run is not None
    one.node._run.stop("test")
    one.spinner.until(lambda: one.robot.commands[-1].is_damping)
    count, damped = len(heard), len(one.robot.commands)
    one.spinner.until(lambda: len(one.robot.commands) >= damped + 5)
    assert len(heard) <= count + 1


@pytest.mark.parametrize(
    "settings",
    [
        {"position_command_topic": "positions"},
        {"position_command_topic": "positions", "position_command_joints": ["LF_HAA"]},
        {"log_source": "dream"},
        {"robot": "anymal_z"},
        {"imu_topic": ""},
        {"monitor": "watch"},
        {"monitor": "warn"},  # and the bundle has no world model
    ],
)
def test_wrong_parameter_is_refused_at_configure(
    stage: Callable[..., Stage], settings: dict[str, Any]
) -> None:
    assert stage(**settings).node.trigger_configure() == FAILURE


def test_parameters_are_frozen_from_configure_to_cleanup(stage: Callable[..., Stage]) -> None:
    one = stage()
    change = Parameter("stand_up_s", value=3.0)
    assert one.node.set_parameters([change])[0].successful
    one.configure()
    refused = one.node.set_parameters([Parameter("stand_up_s", value=1.0)])[0]
    assert not refused.successful
    assert "clean up" in refused.reason
    assert one.node.get_parameter("stand_up_s").value == 3.0
    assert one.node.trigger_cleanup() == SUCCESS
    assert one.node.set_parameters([Parameter("stand_up_s", value=1.0)])[0].successful


@pytest.mark.parametrize("value", [0.0, -1.0, 1e9, float("inf"), float("nan")])
def test_duration_outside_its_range_is_refused(stage: Callable[..., Stage], value: float) -> None:
    node = stage().node
    is_set = node.set_parameters([Parameter("stand_up_s", value=value)])[0].successful
    assert not is_set or node.trigger_configure() == FAILURE


def test_diagnostics_say_state_timing_and_counts(stage: Callable[..., Stage]) -> None:
    one = stage()
    heard: list[DiagnosticStatus] = []
    one.robot.create_subscription(
        DiagnosticArray, "/diagnostics", lambda message: heard.append(message.status[0]), 10
    )
    one.spinner.until(lambda: heard)
    assert heard[-1].message == "inactive"
    one.configure()
    one.activate()
    one.spinner.until(lambda: heard[-1].message.startswith("RUN"))
    assert heard[-1].level == DiagnosticStatus.OK
    keys = {pair.key for pair in heard[-1].values}
    assert {"p99_period_error_ms", "overruns", "topics.imu.age_s", "topics.imu.refused"} <= keys
    assert {"phase", "ticks", "topics.joint_states.out_of_order", "cmd_vel.accepted"} <= keys
    one.robot.is_publishing = False
    one.spinner.until(lambda: heard[-1].message.startswith("DAMP"))
    assert heard[-1].level == DiagnosticStatus.ERROR


def test_a_world_model_on_board_is_followed_and_warns(
    stage: Callable[..., Stage], monitored_bundle: Path
) -> None:
    one = stage(bundle=monitored_bundle)
    heard: list[dict[str, str]] = []
    one.robot.create_subscription(
        DiagnosticArray,
        "/diagnostics",
        lambda message: heard.append({pair.key: pair.value for pair in message.status[0].values}),
        10,
    )
    one.configure()
    one.activate()
    one.spinner.until(lambda: heard and heard[-1].get("monitor.is_warm") == "True")
    assert heard[-1]["monitor.level"] == "NORMAL"
    one.robot.measured = trembling()
    one.spinner.until(lambda: heard[-1].get("monitor.level") == "LOST")
    assert float(heard[-1]["monitor.drift"]) > 1.0
    assert one.last_state()["state"] == "RUN"


def test_a_robot_that_is_lost_is_damped_where_the_monitor_may_act(
    stage: Callable[..., Stage], monitored_bundle: Path
) -> None:
    one = stage(bundle=monitored_bundle, monitor="act")
    one.configure()
    one.activate()
    one.spinner.until(lambda: one.last_state().get("phase") == "policy")
    one.robot.measured = trembling()
    one.spinner.until(lambda: one.last_state()["state"] == "DAMP")
    assert one.last_state()["reasons"][0].startswith("left_its_data: lost")
    assert one.robot.commands[-1].is_damping
