"""Numbers of one topic as they were recorded, before anything is decided about time.

M = messages, W = numbers a message.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Fault(IntEnum):
    """Why no row can be made from a message, or at a time."""

    NONE = 0
    NO_MESSAGE = 1
    NOT_FINITE = 2
    DAMPING = 3
    OTHER_GAINS = 4
    CLOCK_JUMPED_BACK = 5


FAULT_TEXT = {
    Fault.NO_MESSAGE: "no message for longer than the allowed gap",
    Fault.NOT_FINITE: "a message that is not finite, or whose quaternion is no unit",
    Fault.DAMPING: "the joints were told to damp (kp 0)",
    Fault.OTHER_GAINS: "gains other than the robot's were commanded",
    Fault.CLOCK_JUMPED_BACK: "the header stamps jumped back",
}


@dataclass(frozen=True, eq=False)
class MessageSeries:
    """Messages of one topic in the order in which they were recorded."""

    topic: str
    type: str
    """ROS type, as in "sensor_msgs/msg/Imu"."""
    received_ns: NDArray[np.int64]
    """When the recorder got each message, shape (M,)."""
    stamp_ns: NDArray[np.int64] | None
    """Header stamps, shape (M,), 0 where not set; None for a type without a header."""
    values: NDArray[np.float64]
    """Shape (M, W), in RobotSpec order."""
    fault: NDArray[np.int8]
    """A `Fault` a message, shape (M,)."""
    other_joints: int = 0
    """Messages left out because they name none of the robot's joints."""
