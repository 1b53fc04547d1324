"""The standing robot as a process of its own, with honest stamps or others."""

from __future__ import annotations

import random
import sys

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rwmu_ros import quality_of_service
from rwmu_ros.measurement_messages import MeasurementMessages, leg_major
from rwmu_ros.realtime_priority import raise_priority
from sensor_msgs.msg import Imu, JointState
from standing_robot import SPEC, standing
from std_msgs.msg import Float64MultiArray

PERIOD_S = 0.01


class Stamps:
    """The stamp of each next message, by the parameter `stamps`."""

    def __init__(self, kind: str, now_ns: int) -> None:
        self._kind = kind
        self._ns = now_ns
        self._rng = random.Random(0)

    def next(self, now_ns: int) -> Time:
        newest, self._ns = self._ns, now_ns
        if self._kind == "disordered" and self._rng.random() < 0.3:
            # A duplicate, or one that was overtaken.
            self._ns = newest
            now_ns = newest - self._rng.choice((0, 15_000_000))
        elif self._kind == "an hour ago":
            now_ns -= 3_600_000_000_000
        return Time(sec=now_ns // 1_000_000_000, nanosec=now_ns % 1_000_000_000)


class SensorProcess(Node):
    """Publishes the standing robot at 100 Hz in the root namespace."""

    def __init__(self) -> None:
        super().__init__("sensors")
        kind = self.declare_parameter("stamps", "growing").value
        self._stamps = Stamps(str(kind), self.get_clock().now().nanoseconds)
        self._messages = MeasurementMessages(SPEC, leg_major(SPEC.joint_names), "base")
        self._measured = standing()
        sensor = quality_of_service.SENSOR
        self._joints = self.create_publisher(JointState, "/joint_states", sensor)
        self._imu = self.create_publisher(Imu, "/imu", sensor)
        self._odom = self.create_publisher(Odometry, "/odom", sensor)
        self._contacts = self.create_publisher(Float64MultiArray, "/contacts", sensor)
        self.create_timer(PERIOD_S, self._publish)

    def _publish(self) -> None:
        stamp = self._stamps.next(self.get_clock().now().nanoseconds)
        state, messages = next(self._measured), self._messages
        self._joints.publish(messages.joint_states(state, stamp))
        self._imu.publish(messages.imu(state, stamp))
        self._odom.publish(messages.odometry(state, np.zeros(3), stamp))
        self._contacts.publish(messages.contacts(state))


def main() -> None:
    rclpy.init(args=sys.argv)
    executor = SingleThreadedExecutor()
    executor.add_node(SensorProcess())
    raise_priority(20)
    executor.spin()
