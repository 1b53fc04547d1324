"""What every process of this package does before it makes a node."""

from __future__ import annotations

import os
import sys

import rclpy
from rclpy.signals import SignalHandlerOptions

from rwmu_ros.process_log import WITHOUT_WAITING, ProcessLog

_SWITCH_INTERVAL_S = 0.0005


def start_process(args: list[str] | None) -> ProcessLog:
    """Initialise rclpy: heard on this machine only unless the environment says otherwise.

    rclpy's own signal handlers are left out, because they shut communication down before the
    robot could be damped.

    Args:
        args: Command line; None takes the process's own.

    Returns:
        The process's log; close it last.
    """
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    # Python lets a thread run for 5 ms before another gets its turn; the loop can't wait so long.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    log = ProcessLog()
    given = sys.argv if args is None else args
    rclpy.init(args=[*given, *WITHOUT_WAITING], signal_handler_options=SignalHandlerOptions.NO)
    return log
