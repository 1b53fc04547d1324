"""What every process of this package does before it makes a node."""

from __future__ import annotations

import logging
import os
import sys

import rclpy
from rclpy.signals import SignalHandlerOptions

_SWITCH_INTERVAL_S = 0.0005


def start_process(args: list[str] | None) -> None:
    """Initialise rclpy: heard on this machine only unless the environment says otherwise.

    rclpy's own signal handlers are left out, because they shut communication down before the
    robot could be damped.
    """
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    # Python lets a thread run for 5 ms before another gets its turn; the loop can't wait so long.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    logging.basicConfig(level=logging.INFO, format="[%(levelname)s] [%(name)s]: %(message)s")
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
