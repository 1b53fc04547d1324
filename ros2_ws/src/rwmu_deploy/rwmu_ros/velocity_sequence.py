"""An operator's velocity commands, one after the other, in place of a joystick.

They start when the policy node says that its policy runs, and end in standing still.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import Any

import yaml
from geometry_msgs.msg import Twist
from rclpy.node import Node
from std_msgs.msg import String

from rwmu_deploy.contract.errors import ConfigError
from rwmu_ros import quality_of_service
from rwmu_ros.message_conversion import twist_message
from rwmu_ros.steady_timer import steady_timer

_PERIOD_S = 0.05


@dataclass(frozen=True)
class VelocitySequence:
    """Velocity commands and for how long each is given."""

    duration_s: tuple[float, ...]
    command: tuple[tuple[float, float, float], ...]
    """vx [m/s], vy [m/s], wz [rad/s] of every step."""

    @classmethod
    def from_text(cls, text: str) -> VelocitySequence:
        """Read a YAML list of [seconds, vx, vy, wz].

        Raises:
            ConfigError: Not such a list, a number that is not finite, or a duration not above 0.
        """
        try:
            steps = yaml.safe_load(text)
        except yaml.YAMLError:
            steps = None
        if not isinstance(steps, list) or not steps or not all(map(_is_step, steps)):
            raise ConfigError(
                f"velocity_sequence is '{text[:100]}'; allowed is a list of [seconds, vx, vy, wz] "
                "with seconds above 0",
                fix='Write it like "[[2, 0, 0, 0], [5, 0.5, 0, 0]]".',
            )
        return cls(
            tuple(float(step[0]) for step in steps),
            tuple((float(vx), float(vy), float(wz)) for _, vx, vy, wz in steps),
        )

    @property
    def total_s(self) -> float:
        """Duration of all steps together."""
        return sum(self.duration_s)

    def command_at(self, elapsed_s: float) -> tuple[float, float, float]:
        """The command `elapsed_s` after the start; zero before it and after the end."""
        end_s = 0.0
        if elapsed_s >= 0.0:
            for duration_s, command in zip(self.duration_s, self.command, strict=True):
                end_s += duration_s
                if elapsed_s < end_s:
                    return command
        return (0.0, 0.0, 0.0)


class VelocitySequencePublisher:
    """Publishes a sequence at 20 Hz on a node, from the moment in which the policy runs.

    Args:
        node: Owner of publisher, subscription and timer.
        sequence: What to command.
        cmd_vel_topic: Where to.
        state_topic: State of the policy node (JSON with `phase`).
    """

    def __init__(
        self, node: Node, sequence: VelocitySequence, cmd_vel_topic: str, state_topic: str
    ) -> None:
        self._node = node
        self._sequence = sequence
        self._started_s: float | None = None
        self._publisher = node.create_publisher(Twist, cmd_vel_topic, quality_of_service.SENSOR)
        self._subscription = node.create_subscription(
            String, state_topic, self._on_state, quality_of_service.STATE
        )
        self._timer = steady_timer(node, _PERIOD_S, self._on_timer)

    def _on_state(self, message: String) -> None:
        if self._started_s is None and _phase(message.data) == "policy":
            self._started_s = time.monotonic()
            self._node.get_logger().info("the policy runs: velocity sequence starts")

    def _on_timer(self) -> None:
        if self._started_s is not None:
            elapsed_s = time.monotonic() - self._started_s
            self._publisher.publish(twist_message(self._sequence.command_at(elapsed_s)))


def _is_step(step: Any) -> bool:
    return (
        isinstance(step, list)
        and len(step) == 4
        and all(
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and math.isfinite(value)
            for value in step
        )
        and step[0] > 0.0
    )


def _phase(text: str) -> str | None:
    try:
        document = json.loads(text)
    except json.JSONDecodeError:
        return None
    phase = document.get("phase") if isinstance(document, dict) else None
    return phase if isinstance(phase, str) else None
