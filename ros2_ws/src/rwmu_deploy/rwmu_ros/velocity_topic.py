"""The operator's velocity command, taken when the loop ticks.

A flood of messages costs Python nothing: the middleware keeps the newest, 50 a second are read.
"""

from __future__ import annotations

from geometry_msgs.msg import Twist
from rclpy.node import Node

from rwmu_ros.message_conversion import FloatArray, velocity_command
from rwmu_ros.newest_message import NewestMessage, Received
from rwmu_ros.sampled_topic import SampledTopic


class VelocityTopic:
    """One thread takes; any may read the counts.

    Args:
        node: Owner of the subscription.
        topic: Name.
    """

    def __init__(self, node: Node, topic: str) -> None:
        self._newest: NewestMessage[Twist, FloatArray] = NewestMessage("cmd_vel", velocity_command)
        self._topic = SampledTopic(node, Twist, topic, self._newest)
        self._taken: Received[FloatArray] | None = None

    def take(self) -> Received[FloatArray] | None:
        """A command [m/s, m/s, rad/s] that came since the last call; None: none did."""
        self._topic.sample()
        newest = self._newest.newest
        if newest is self._taken:
            return None
        self._taken = newest
        return newest

    def counts(self) -> dict[str, int]:
        """How many messages were taken and accepted, refused, out of order."""
        return self._newest.counts()

    def close(self) -> None:
        """Give the subscription back."""
        self._topic.close()
