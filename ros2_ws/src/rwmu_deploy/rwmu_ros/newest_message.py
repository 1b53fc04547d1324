"""The newest good message of one topic, and the count of all that were not good.

Age is measured from the time of receipt on the monotonic clock. Stamps only tell the order: one
that is not above its predecessor is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from rwmu_deploy.contract.errors import RwmuError

Value = TypeVar("Value")
Message = TypeVar("Message")


class Received(NamedTuple, Generic[Value]):
    """A converted message and when it arrived."""

    value: Value
    received_s: float
    """Monotonic time."""


class NewestMessage(Generic[Message, Value]):
    """Converts messages as they arrive and keeps the newest good one.

    One thread offers; any thread may read `newest`, which is replaced whole.

    Args:
        topic: Name for reports.
        convert: Turns a message into a value, or raises a `RwmuError`.
        stamp_ns: Reads a message's stamp; None where the message type has none.
    """

    def __init__(
        self,
        topic: str,
        convert: Callable[[Message], Value],
        stamp_ns: Callable[[Message], int] | None = None,
    ) -> None:
        self.topic = topic
        self.newest: Received[Value] | None = None
        self.accepted = 0
        self.refused = 0
        self.out_of_order = 0
        self.last_refusal = ""
        self._convert = convert
        self._stamp_ns = stamp_ns
        self._last_stamp_ns: int | None = None

    def offer(self, message: Message, now_s: float) -> bool:
        """Take a message in; says whether it is the newest now."""
        stamp = self._stamp_ns(message) if self._stamp_ns else None
        if stamp is not None and self._last_stamp_ns is not None and stamp <= self._last_stamp_ns:
            self.out_of_order += 1
            return False
        try:
            value = self._convert(message)
        except RwmuError as error:
            self.refused += 1
            self.last_refusal = str(error)
            return False
        self._last_stamp_ns = stamp
        self.newest = Received(value, now_s)
        self.accepted += 1
        return True

    def forget(self) -> None:
        """Start again: no value, and any stamp may come next. Counts stay."""
        self.newest = None
        self._last_stamp_ns = None

    def age_s(self, now_s: float) -> float | None:
        """Time since the newest good message [s]; None if there was none."""
        newest = self.newest
        return None if newest is None else now_s - newest.received_s

    def counts(self) -> dict[str, int]:
        """How many messages were accepted, refused, and dropped for their order."""
        return {
            "accepted": self.accepted,
            "refused": self.refused,
            "out_of_order": self.out_of_order,
        }
