"""Timers that no setting of ROS time can hold up.

A node's own timers follow `/clock` where `use_sim_time` is set, and stand still without it.
"""

from __future__ import annotations

from collections.abc import Callable

# Humble has ClockType here alone.
from rclpy.clock import Clock, ClockType  # pyright: ignore[reportPrivateImportUsage]
from rclpy.node import Node
from rclpy.timer import Timer


def steady_timer(node: Node, period_s: float, callback: Callable[[], None]) -> Timer:
    """A timer of `node` on the monotonic clock."""
    return node.create_timer(period_s, callback, clock=Clock(clock_type=ClockType.STEADY_TIME))
