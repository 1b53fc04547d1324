"""A simulated robot as a process: until a signal, or until its simulation fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.utilities import try_shutdown

from rwmu_deploy.contract.errors import RwmuError
from rwmu_ros.process_setup import start_process
from rwmu_ros.realtime_priority import lower_priority
from rwmu_ros.stop_signals import StopSignals

_SPIN_S = 0.05
_log = logging.getLogger(__name__)


class SimulatedRobotNode(Protocol):
    """What this asks of a node, beside being one."""

    failed: bool
    """Whether the simulation ended by itself."""

    def end(self) -> None:
        """End the physics."""
        ...


def run(make: Callable[[], SimulatedRobotNode], args: list[str] | None) -> int:
    """Make the robot's node and turn it.

    Args:
        make: Makes the node, or raises a `RwmuError`.
        args: Command line; None takes the process's own.

    Returns:
        0 after a signal, 1 where the node was not made or the simulation failed.
    """
    signals = StopSignals()
    log = start_process(args)
    try:
        node = make()
    except RwmuError as error:
        _log.error("%s", error)
        try_shutdown()
        log.close()
        return 1
    assert isinstance(node, Node), "a simulated robot is a node"
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while signals.received is None and not node.failed:
            executor.spin_once(timeout_sec=_SPIN_S)
    finally:
        node.end()
        lower_priority()
        executor.shutdown()
        node.destroy_node()
        try_shutdown()
        log.close()
    return int(node.failed)
