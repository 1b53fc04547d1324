"""Hears who publishes on a command topic, and takes no message."""

from __future__ import annotations

from rclpy.node import Node

from rwmu_ros import quality_of_service
from rwmu_ros.sampled_topic import NeverExecuted, no_callback

UNNAMED = "a program whose ROS name is not known, or not yet"
"""A publisher is discovered before its node's name is, and what speaks DDS alone has none."""
_NOT_NAMED = "_NODE_NAME_UNKNOWN_"


class CommandEar:
    """An ear on one topic.

    Args:
        node: Publishes there itself, once.
        kind: Message class.
        topic: Name, after remapping.
    """

    def __init__(self, node: Node, kind: type, topic: str) -> None:
        self._node = node
        self._topic = topic
        self._subscription = node.create_subscription(
            kind,
            topic,
            no_callback,
            quality_of_service.SENSOR,
            callback_group=NeverExecuted(),
            raw=True,
        )

    def hears_others(self) -> bool:
        """Whether another publishes there.

        Unlike asking for names, this waits for nobody: the middleware has told the ear already.
        """
        try:
            return self._subscription.get_publisher_count() > 1
        except AttributeError:  # Humble
            return bool(self.others())

    def others(self) -> list[str]:
        """Names of the others.

        It looks through the graph of all nodes, and holds this process up for as long as another
        thread of the middleware has it.
        """
        found = [
            (info.node_name, info.node_namespace)
            for info in self._node.get_publishers_info_by_topic(self._topic)
        ]
        own = (self._node.get_name(), self._node.get_namespace())
        if own in found:
            # Once only: a second node of our own name is a stranger too.
            found.remove(own)
        return [
            UNNAMED if name == _NOT_NAMED else f"{space.rstrip('/')}/{name}"
            for name, space in found
        ]

    def close(self) -> None:
        """Give the subscription back."""
        self._node.destroy_subscription(self._subscription)
