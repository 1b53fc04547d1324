"""A topic that is read when its value is wanted, not whenever a message comes.

A robot may publish at 400 Hz, and the loop looks at 50 Hz. With a queue of one message the
middleware keeps the newest, so only messages that are used cost Python any time.
"""

from __future__ import annotations

import time
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from rwmu_ros import quality_of_service
from rwmu_ros.newest_message import NewestMessage


class NeverExecuted(CallbackGroup):
    """Keeps an executor from taking the messages of a subscription."""

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        pass


class SampledTopic:
    """A subscription that fills a `NewestMessage` when told to.

    Args:
        node: Owner of the subscription.
        kind: Message class.
        topic: Name.
        destination: Gets the newest message.
        raw: Hand over the bytes that came, with their CDR header: no Python object a field.
    """

    def __init__(
        self,
        node: Node,
        kind: type,
        topic: str,
        destination: NewestMessage[Any, Any],
        *,
        raw: bool = False,
    ) -> None:
        self._node = node
        self._kind = kind
        self._raw = raw
        self._destination = destination
        self._sampled_s = time.monotonic()
        self._group = NeverExecuted()
        self._subscription = node.create_subscription(
            kind,
            topic,
            no_callback,
            quality_of_service.SENSOR,
            callback_group=self._group,
            raw=raw,
        )

    def sample(self) -> None:
        """Hand over what came since the last call, with the time at which it came.

        The middleware knows that time by the wall clock only. Whatever that clock does, the
        message came between the last call and this one.
        """
        while True:
            taken = self._subscription.handle.take_message(self._kind, self._raw)
            now_s = time.monotonic()
            if taken is None:
                break
            message, info = taken
            age_s = (time.time_ns() - info["received_timestamp"]) / 1e9
            age_s = min(max(age_s, 0.0), now_s - self._sampled_s)
            self._destination.offer(message, now_s - age_s)
        self._sampled_s = now_s

    def close(self) -> None:
        """Give the subscription back."""
        self._node.destroy_subscription(self._subscription)


def no_callback(message: Any) -> None:
    """What a subscription that is never executed calls."""
    raise AssertionError("an executor took a message that is sampled")
