"""A topic of 500 messages a second, of which the loop wants the newest, as the bytes that came."""

from __future__ import annotations

import time
from typing import Any

from rclpy.node import Node
from rwmu_ros import quality_of_service
from rwmu_ros.newest_message import NewestMessage
from rwmu_ros.sampled_topic import NeverExecuted, no_callback


class RawTopic:
    """As `SampledTopic`, without a Python object for every field.

    Args:
        node: Owner of the subscription.
        kind: Message class.
        topic: Name.
        destination: Gets the newest message, as bytes with their CDR header.
    """

    def __init__(
        self, node: Node, kind: type, topic: str, destination: NewestMessage[bytes, Any]
    ) -> None:
        self._node = node
        self._kind = kind
        self._destination = destination
        self._sampled_s = time.monotonic()
        self._subscription = node.create_subscription(
            kind,
            topic,
            no_callback,
            quality_of_service.SENSOR,
            callback_group=NeverExecuted(),
            raw=True,
        )

    def sample(self) -> None:
        """Hand over what came since the last call, with the time at which it came."""
        while True:
            taken = self._subscription.handle.take_message(self._kind, True)
            now_s = time.monotonic()
            if taken is None:
                break
            data, info = taken
            age_s = (time.time_ns() - info["received_timestamp"]) / 1e9
            age_s = min(max(age_s, 0.0), now_s - self._sampled_s)
            self._destination.offer(data, now_s - age_s)
        self._sampled_s = now_s

    def close(self) -> None:
        """Give the subscription back."""
        self._node.destroy_subscription(self._subscription)
