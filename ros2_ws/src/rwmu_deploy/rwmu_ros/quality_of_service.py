"""How each kind of topic is delivered.

The newest value is the only one that counts, so every queue holds one message.
"""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _newest(reliability: ReliabilityPolicy, durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=1, reliability=reliability, durability=durability
    )


SENSOR = _newest(ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
"""Sensors and velocity commands: never resent, and heard from any publisher."""

COMMAND = _newest(ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)
"""Joint commands and the e-stop: resent until they arrive, never given to latecomers."""

STATE = _newest(ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)
"""State of the policy node: a latecomer gets the last one."""
