"""What the policy node says of itself, for a node that commands it."""

from __future__ import annotations

import json
import math
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from std_msgs.msg import String

from rwmu_ros import quality_of_service

SILENT_S = 3.0
"""A policy node says its state every second; after this time it is not there."""
_DOUBTS = ("monitor.uncertainty", "monitor.jump", "monitor.drift")


class PolicyEar:
    """Keeps the newest state and numbers of one policy node.

    Args:
        node: Owner of the subscriptions.
        policy_node: Name of the policy node, relative to the node's namespace or absolute.
    """

    def __init__(self, node: Node, policy_node: str) -> None:
        self._state: dict[str, Any] = {}
        self._state_s = -math.inf
        self._name = node.resolve_topic_name(policy_node)
        self._rows, self._dropped = RestartedCount(), RestartedCount()
        self.doubt = math.nan
        """The monitor's largest statistic over its threshold of caution."""
        node.create_subscription(
            String, f"{policy_node}/state", self._on_state, quality_of_service.STATE
        )
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    @property
    def is_heard(self) -> bool:
        """Whether it has said its state lately."""
        return time.monotonic() - self._state_s <= SILENT_S

    @property
    def rows(self) -> int:
        """Logged since this node began, over all times that the policy was armed."""
        return self._rows.total

    @property
    def dropped(self) -> int:
        """Rows that its log could not take, counted likewise."""
        return self._dropped.total

    @property
    def phase(self) -> str:
        """What its loop does."""
        return str(self._state.get("phase", "disarmed")) if self.is_heard else "disarmed"

    @property
    def state(self) -> str:
        """Its safety state; DAMP where it isn't heard."""
        return str(self._state.get("state", "DAMP")) if self.is_heard else "DAMP"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it isn't RUN."""
        if not self.is_heard:
            return (f"{self._name} is not heard",)
        return tuple(str(reason) for reason in self._state.get("reasons", ()))

    def _on_state(self, message: String) -> None:
        try:
            state = json.loads(message.data)
        except ValueError:
            return
        if isinstance(state, dict):
            self._state, self._state_s = state, time.monotonic()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == f"{self._name}: control loop":
                self._take({pair.key: pair.value for pair in status.values})

    def _take(self, values: dict[str, str]) -> None:
        self._rows.take(values.get("log_writing.rows"))
        self._dropped.take(values.get("log_writing.dropped"))
        doubts = [_number(values.get(name)) for name in _DOUBTS]
        self.doubt = max(doubts) if values.get("monitor.is_warm") == "True" else math.nan


class RestartedCount:
    """A count that somebody else tells, and that begins anew with each of its logs."""

    def __init__(self) -> None:
        self._before = self._now = 0

    def take(self, text: str | None) -> None:
        """What it is now; anything but a whole number changes nothing."""
        if text is None or not text.isdigit():
            return
        if int(text) < self._now:
            self._before += self._now
        self._now = int(text)

    @property
    def total(self) -> int:
        return self._before + self._now


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
