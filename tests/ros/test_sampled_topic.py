"""A sampled topic gives the newest message and the time at which it came."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from geometry_msgs.msg import Twist
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rwmu_ros import quality_of_service, sampled_topic
from rwmu_ros.message_conversion import twist_message, velocity_command
from rwmu_ros.newest_message import NewestMessage
from rwmu_ros.sampled_topic import SampledTopic

HOUR_NS = 3_600_000_000_000


class Line:
    """A publisher and a sampled topic that have found each other."""

    def __init__(self, context: Context) -> None:
        self.node = Node("line", context=context)
        self.newest = NewestMessage("twist", velocity_command)
        self.topic = SampledTopic(self.node, Twist, "twist", self.newest)
        self.publisher: Publisher = self.node.create_publisher(
            Twist, "twist", quality_of_service.SENSOR
        )
        end_s = time.monotonic() + 10.0
        while not self.publisher.get_subscription_count():
            assert time.monotonic() < end_s, "the two never met"
            time.sleep(0.01)

    def publish(self, *vx_mps: float) -> None:
        for value in vx_mps:
            self.publisher.publish(twist_message([value, 0.0, 0.0]))
        time.sleep(0.2)


@pytest.fixture
def line(ros_context: Context) -> Iterator[Line]:
    made = Line(ros_context)
    yield made
    made.topic.close()
    made.node.destroy_node()


def test_only_the_newest_of_many_messages_is_converted(line: Line) -> None:
    line.publish(1.0, 2.0, 3.0)
    line.topic.sample()
    assert line.newest.newest is not None
    assert line.newest.newest.value.tolist() == [3.0, 0.0, 0.0]
    assert line.newest.counts()["accepted"] == 1


def test_message_is_as_old_as_its_arrival_and_not_as_its_sampling(line: Line) -> None:
    before_s = time.monotonic()
    line.publish(1.0)
    line.topic.sample()
    age_s = line.newest.age_s(time.monotonic())
    assert age_s is not None
    # It waited 0.2 s in the queue.
    assert 0.19 <= age_s <= time.monotonic() - before_s


def test_nothing_new_leaves_the_value_to_age(line: Line) -> None:
    line.publish(1.0)
    line.topic.sample()
    first = line.newest.newest
    line.topic.sample()
    assert line.newest.newest is first
    assert line.newest.counts()["accepted"] == 1


def test_wall_clock_set_forward_makes_no_message_older_than_the_last_sampling(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.topic.sample()
    sampled_s = time.monotonic()
    line.publish(1.0)
    real_ns = time.time_ns
    monkeypatch.setattr(sampled_topic.time, "time_ns", lambda: real_ns() + HOUR_NS)
    line.topic.sample()
    assert line.newest.newest is not None
    assert line.newest.newest.received_s == pytest.approx(sampled_s, abs=0.05)


def test_wall_clock_set_back_makes_no_message_come_from_the_future(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.publish(1.0)
    real_ns = time.time_ns
    monkeypatch.setattr(sampled_topic.time, "time_ns", lambda: real_ns() - HOUR_NS)
    line.topic.sample()
    age_s = line.newest.age_s(time.monotonic())
    assert age_s is not None
    assert age_s >= 0.0


def test_executor_leaves_the_message_to_the_sampling(line: Line, ros_context: Context) -> None:
    line.publish(1.0)
    executor = SingleThreadedExecutor(context=ros_context)
    executor.add_node(line.node)
    for _ in range(3):
        executor.spin_once(timeout_sec=0.02)
    executor.shutdown()
    assert line.newest.counts()["accepted"] == 0
    line.topic.sample()
    assert line.newest.counts()["accepted"] == 1
