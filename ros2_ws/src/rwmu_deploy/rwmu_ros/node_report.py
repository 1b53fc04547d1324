"""Publishes what the policy node says about itself: its state, and /diagnostics."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import String

from rwmu_ros import quality_of_service
from rwmu_ros.run_report import diagnostics_message
from rwmu_ros.steady_timer import steady_timer

if TYPE_CHECKING:
    from rwmu_ros.policy_node import PolicyNode

_STATE_PERIOD_S = 0.1
_STATE_REPEAT_S = 1.0
_DIAGNOSTICS_PERIOD_S = 1.0


class NodeReport:
    """The state on every change and every second, diagnostics every second."""

    def __init__(self, node: PolicyNode) -> None:
        self._node = node
        self._state_out = node.create_publisher(String, "~/state", quality_of_service.STATE)
        self._diagnostics_out = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._said: dict[str, Any] | None = None
        self._said_s = 0.0
        steady_timer(node, _STATE_PERIOD_S, self._say_news)
        steady_timer(node, _DIAGNOSTICS_PERIOD_S, self._say_numbers)

    def say_state(self) -> None:
        """Publish the state now."""
        self._said, self._said_s = self._node.state(), time.monotonic()
        self._state_out.publish(String(data=json.dumps(self._said)))

    def _say_news(self) -> None:
        is_due = time.monotonic() - self._said_s >= _STATE_REPEAT_S
        if is_due or self._node.state() != self._said:
            self.say_state()

    def _say_numbers(self) -> None:
        node = self._node
        self._diagnostics_out.publish(
            diagnostics_message(
                node.get_clock().now(),
                node.get_fully_qualified_name(),
                node.robot_name,
                node.state(),
                node.numbers(),
            )
        )
