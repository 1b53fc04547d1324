"""Real topics around a policy node: a robot that stands perfectly, and an ear on its commands."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rwmu_ros import quality_of_service
from rwmu_ros.measurement_messages import MeasurementMessages, leg_major
from rwmu_ros.message_conversion import command_of_message
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray, String

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.robot_state import JointCommand, RobotState

SPEC = load_robot_spec("anymal_d")
STANDING = RobotState(
    base_linear_velocity_mps=np.zeros(3),
    base_angular_velocity_radps=np.zeros(3),
    projected_gravity=np.array([0.0, 0.0, -1.0]),
    joint_position_rad=SPEC.default_position_rad,
    joint_velocity_radps=np.zeros(12),
    joint_torque_nm=np.zeros(12),
    contact=np.array([0.0] * 4 + [1.0] * 4),
    received_s=0.0,
)


def standing() -> Iterator[RobotState]:
    """At rest, with the noise that tells a living sensor from a frozen one."""
    rng = np.random.default_rng(1)
    while True:
        yield replace(
            STANDING,
            base_linear_velocity_mps=rng.normal(0.0, 1e-4, 3),
            base_angular_velocity_radps=rng.normal(0.0, 1e-4, 3),
            joint_torque_nm=rng.normal(0.0, 1e-12, 12),
        )


def trembling() -> Iterator[RobotState]:
    """Torques that no world model foretells."""
    rng, calm = np.random.default_rng(0), standing()
    while True:
        yield replace(next(calm), joint_torque_nm=rng.uniform(-60.0, 60.0, 12))


class CommandEar(Node):
    """Keeps every joint command and every state that the policy node publishes."""

    def __init__(self, context: Context, command_topic: str = "joint_command") -> None:
        super().__init__("command_ear", context=context)
        self.commands: list[JointCommand] = []
        self.states: list[dict[str, Any]] = []
        self.create_subscription(
            Float64MultiArray,
            command_topic,
            lambda message: self.commands.append(command_of_message(message, SPEC)),
            quality_of_service.COMMAND,
        )
        self.create_subscription(
            String,
            "policy_node/state",
            lambda message: self.states.append(json.loads(message.data)),
            quality_of_service.STATE,
        )


class StandingRobot(CommandEar):
    """Publishes `measured` in turn, the default pose at rest, at 100 Hz while `is_publishing`."""

    def __init__(self, context: Context, command_topic: str = "joint_command") -> None:
        super().__init__(context, command_topic)
        self.is_publishing = True
        self.measured = standing()
        self._messages = MeasurementMessages(SPEC, leg_major(SPEC.joint_names), "base")
        sensor = quality_of_service.SENSOR
        self._joints_out = self.create_publisher(JointState, "joint_states", sensor)
        self._imu_out = self.create_publisher(Imu, "imu", sensor)
        self._odom_out = self.create_publisher(Odometry, "odom", sensor)
        self._contacts_out = self.create_publisher(Float64MultiArray, "contacts", sensor)
        self.create_timer(0.01, self._publish)

    def _publish(self) -> None:
        if not self.is_publishing:
            return
        stamp, messages = self.get_clock().now().to_msg(), self._messages
        state = next(self.measured)
        self._joints_out.publish(messages.joint_states(state, stamp))
        self._imu_out.publish(messages.imu(state, stamp))
        self._odom_out.publish(messages.odometry(state, np.zeros(3), stamp))
        self._contacts_out.publish(messages.contacts(state))


class Spinner:
    """Spins nodes in the test's own thread until something has happened."""

    def __init__(self, context: Context) -> None:
        self.executor = SingleThreadedExecutor(context=context)

    def until(self, happened: Callable[[], object], timeout_s: float = 10.0) -> None:
        """Spin until `happened()` is true; fail the test if it never is."""
        end_s = time.monotonic() + timeout_s
        while not happened():
            assert time.monotonic() < end_s, f"not within {timeout_s} s"
            self.executor.spin_once(timeout_sec=0.02)
