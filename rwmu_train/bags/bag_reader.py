"""Open a rosbag (MCAP, ROS 2 sqlite3, ROS 1) and read topics into plain arrays.

The only place that knows the library `rosbags`.
"""

from __future__ import annotations

import contextlib
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from rwmu_deploy.contract.errors import BagError, RwmuError
from rwmu_train.bags.message_parsers import Parser
from rwmu_train.bags.message_series import MessageSeries

_REPAIR = (
    "Give a rosbag2 folder, .mcap, .db3 or .bag; a recording that was cut off is mended with "
    "'mcap recover', 'ros2 bag reindex' or 'rosbag reindex'."
)


@dataclass(frozen=True)
class TopicRequest:
    """A topic to be read, and what to take from it."""

    name: str
    """Name of the series; two requests may read one topic."""
    topic: str
    parser: Parser


class Bag:
    """A bag that is open for reading; see `open_bag`."""

    def __init__(self, path: Path, reader: AnyReader) -> None:
        self._path = path
        self._reader = reader
        self.types: dict[str, str] = {}
        """Topic -> ROS type; a topic of several types has them all, joined."""
        for connection in reader.connections:
            known = self.types.setdefault(connection.topic, connection.msgtype)
            if connection.msgtype not in known.split(" and "):
                self.types[connection.topic] = f"{known} and {connection.msgtype}"

    def read(self, requests: Sequence[TopicRequest]) -> dict[str, MessageSeries]:
        """Read topics in one pass, each message once.

        Returns:
            Name of the request -> what its parser made of the messages, one or more.

        Raises:
            BagError: A topic is empty, the bag is damaged or holds less than its index says, or a
                parser refuses the topic.
            RwmuError: A parser refuses the topic.
        """
        parts = {request.name: _Part(request) for request in requests}
        parts_of: dict[str, list[_Part]] = defaultdict(list)
        for part in parts.values():
            parts_of[part.request.topic].append(part)
        connections = [c for c in self._reader.connections if c.topic in parts_of]
        expected = sum(connection.msgcount for connection in connections)
        count = 0
        with _damage_named(self._path):
            for connection, received_ns, data in self._reader.messages(connections):
                message = self._reader.deserialize(data, connection.msgtype)
                for part in parts_of[connection.topic]:
                    part.take(received_ns, message)
                count += 1
        if count != expected:
            raise BagError(
                f"{self._path} holds {count} messages of these topics, and its index says "
                f"{expected}: it was cut off or damaged",
                fix=_REPAIR,
            )
        return {name: part.series(self.types) for name, part in parts.items()}


@contextlib.contextmanager
def open_bag(path: Path) -> Iterator[Bag]:
    """Open a bag of any format; a bag without message definitions is read with today's ROS 2's.

    Raises:
        BagError: There is no such path, or it is no bag that can be read.
    """
    if not path.exists():
        raise BagError(f"there is no file or folder {path}", fix="Give the path of a rosbag.")
    with _damage_named(path):
        reader = AnyReader([path], default_typestore=get_typestore(Stores.LATEST))
        reader.open()
    try:
        yield Bag(path, reader)
    finally:
        reader.close()


@dataclass
class _Part:
    """The numbers of one request, as they come."""

    request: TopicRequest
    received_ns: array[int] = field(default_factory=lambda: array("q"))
    stamp_ns: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    fault: array[int] = field(default_factory=lambda: array("b"))
    has_header: bool = False
    other_joints: int = 0

    def take(self, received_ns: int, message: Any) -> None:
        parsed = self.request.parser(message)
        if parsed is None:
            self.other_joints += 1
            return
        header = getattr(message, "header", None)
        self.has_header = header is not None
        stamp = header.stamp if header is not None else None
        self.stamp_ns.append(stamp.sec * 1_000_000_000 + stamp.nanosec if stamp else 0)
        self.received_ns.append(received_ns)
        self.values.frombytes(parsed.values.tobytes())
        self.fault.append(parsed.fault)

    def series(self, types: dict[str, str]) -> MessageSeries:
        topic, count = self.request.topic, len(self.fault)
        if count == 0:
            others = f"; {self.other_joints} name other joints" if self.other_joints else ""
            raise BagError(
                f"topic {topic} has no message that can be used{others}",
                fix="Record it, name another topic with --topics, or pass ROLE=none if rows can "
                "do without it.",
            )
        return MessageSeries(
            topic=topic,
            type=types[topic],
            received_ns=np.array(self.received_ns, dtype=np.int64),
            stamp_ns=np.array(self.stamp_ns, dtype=np.int64) if self.has_header else None,
            values=np.array(self.values, dtype=np.float64).reshape(count, -1),
            fault=np.array(self.fault, dtype=np.int8),
            other_joints=self.other_joints,
        )


@contextlib.contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except RwmuError:
        raise
    except Exception as error:  # a damaged bag raises whatever its bytes lead to
        raise BagError(
            f"{path} can't be read: {type(error).__name__}: {error}", fix=_REPAIR
        ) from error
