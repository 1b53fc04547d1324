"""Layout of Unitree's LowCmd and LowState, and their checksum.

Little-endian C structures with natural alignment, as the robot's firmware checks them: 1004 and
2092 bytes, the last word of which is the checksum of all words before it. Field for field as
Unitree's public interface (unitree_hg) has them.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import RobotLinkError

MOTORS = 35
"""Of every message; a robot uses the first of them."""
_MOTOR_COMMAND = np.dtype(
    [
        ("mode", "u1"),
        ("q", "<f4"),
        ("dq", "<f4"),
        ("tau", "<f4"),
        ("kp", "<f4"),
        ("kd", "<f4"),
        ("reserve", "<u4"),
    ],
    align=True,
)
_MOTOR_STATE = np.dtype(
    [
        ("mode", "u1"),
        ("q", "<f4"),
        ("dq", "<f4"),
        ("ddq", "<f4"),
        ("tau_est", "<f4"),
        ("temperature", "<i2", 2),
        ("vol", "<f4"),
        ("sensor", "<u4", 2),
        ("motorstate", "<u4"),
        ("reserve", "<u4", 4),
    ],
    align=True,
)
_IMU_STATE = np.dtype(
    [
        ("quaternion", "<f4", 4),
        ("gyroscope", "<f4", 3),
        ("accelerometer", "<f4", 3),
        ("rpy", "<f4", 3),
        ("temperature", "<i2"),
    ],
    align=True,
)
LOW_COMMAND = np.dtype(
    [
        ("mode_pr", "u1"),
        ("mode_machine", "u1"),
        ("motor_cmd", _MOTOR_COMMAND, MOTORS),
        ("reserve", "<u4", 4),
        ("crc", "<u4"),
    ],
    align=True,
)
LOW_STATE = np.dtype(
    [
        ("version", "<u4", 2),
        ("mode_pr", "u1"),
        ("mode_machine", "u1"),
        ("tick", "<u4"),
        ("imu_state", _IMU_STATE),
        ("motor_state", _MOTOR_STATE, MOTORS),
        ("wireless_remote", "u1", 40),
        ("reserve", "<u4", 4),
        ("crc", "<u4"),
    ],
    align=True,
)
Frame = NDArray[np.void]
"""One message of either layout, shape ()."""
_WORD = 4
_REVERSED_BITS = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def blank(layout: np.dtype[Any]) -> Frame:
    """A message of zeros, padding too."""
    return np.zeros((), dtype=layout)


def checksum(frame: Frame) -> int:
    """CRC-32 of all 32-bit words but the last.

    Polynomial 0x04C11DB7, most significant bit first, begun with ones, without a final inversion.
    zlib's CRC takes bits in the other order, so each word's bits are turned round before it and
    the result's after.
    """
    words = np.frombuffer(frame.tobytes(), dtype="<u4")[:-1]
    turned = words.byteswap().tobytes().translate(_REVERSED_BITS)
    return int(f"{zlib.crc32(turned) ^ 0xFFFFFFFF:032b}"[::-1], 2)


def sealed(frame: Frame) -> bytes:
    """The bytes of a message with its checksum, which is computed last."""
    frame["crc"] = checksum(frame)
    return frame.tobytes()


def opened(data: bytes, layout: np.dtype[Any], name: str) -> Frame:
    """A message from its bytes.

    Raises:
        RobotLinkError: It has another size, or its checksum does not fit.
    """
    if len(data) != layout.itemsize:
        raise RobotLinkError(
            f"{name} has {len(data)} bytes; allowed is {layout.itemsize}",
            fix="Look at which generation of messages the robot speaks.",
        )
    frame = np.frombuffer(data, dtype=layout).reshape(())
    refuse_wrong_checksum(frame, name)
    return frame


def refuse_wrong_checksum(frame: Frame, name: str) -> None:
    """Hold a message against its checksum.

    Raises:
        RobotLinkError: It does not fit.
    """
    found, stated = checksum(frame), int(frame["crc"])
    if found != stated:
        raise RobotLinkError(
            f"{name} has checksum 0x{stated:08x}, its content 0x{found:08x}",
            fix="It was altered on its way, or its sender computes another checksum.",
        )
