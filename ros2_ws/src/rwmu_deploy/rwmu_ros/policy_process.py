"""The policy node as a process: signals, executor, and an end that damps whatever happens."""

from __future__ import annotations

import logging
import sys

from rclpy.exceptions import ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.utilities import try_shutdown

from rwmu_ros.node_link import LinkKind
from rwmu_ros.policy_node import TOPICS, PolicyNode
from rwmu_ros.process_log import ProcessLog, Rosout
from rwmu_ros.process_setup import start_process
from rwmu_ros.realtime_priority import lower_priority
from rwmu_ros.stop_signals import StopSignals

BAD_PARAMETER = 2
"""Exit code where a parameter has a value or a type that it may not have."""
_SPIN_S = 0.05
_log = logging.getLogger(__name__)


def main(args: list[str] | None = None, *, link_kind: LinkKind = TOPICS) -> int:
    """Run the node until a signal, a shutdown transition, or the end of `run_seconds`.

    Returns:
        0 after a signal, a shutdown or the end of `run_seconds`; 1 where autostart gave up; 2
        where a parameter is refused. What nobody caught ends Python with 1, after damping.
    """
    signals = StopSignals()
    log = start_process(args)
    try:
        node = PolicyNode(link_kind=link_kind)
    except ParameterException as error:
        _log.error("%s. Correct the parameter; docs/ros2.md lists all with their ranges.", error)
        try_shutdown()
        log.close()
        return BAD_PARAMETER
    log.also_to(Rosout(node.get_logger()))
    return _run(node, signals, log)


def _run(node: PolicyNode, signals: StopSignals, log: ProcessLog) -> int:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    signals.on_estop = lambda name: node.estop.press(f"signal {name}")
    signals.on_end = node.estop.end
    signals.wake = executor.wake
    ending = "an exception"
    try:
        while signals.received is None and node.exit_code is None:
            executor.spin_once(timeout_sec=_SPIN_S)
        ending = signals.received or "the node's own end"
    finally:
        node.end(ending)
        lower_priority()
        executor.shutdown()
        node.destroy_node()
        try_shutdown()
        log.close()
    return node.exit_code or 0


if __name__ == "__main__":
    sys.exit(main())
