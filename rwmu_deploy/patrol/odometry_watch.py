"""Whether odometry can be believed, where the robot is from its origin, and how far it has walked.

Pure: time, pose and velocity are passed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

JUMP_M = 0.15
"""Beyond what its speed explains, a step of the position of this size is a jump."""
JUMP_RAD = 0.3
"""The same of the yaw."""
FASTEST_MPS, FASTEST_RADPS = 3.0, 6.0
FROZEN_S = 0.5
"""A robot in motion whose position stays the same for so long has a frozen odometry."""
MOVING_MPS = 0.15
SILENT_S = 0.5


@dataclass(frozen=True)
class OdometryReading:
    """What is known of the robot's place."""

    pose: FloatArray
    """x [m], y [m], yaw [rad] from the origin, shape (3,); NaN while it isn't known."""
    walked_m: float
    """Way since the origin was set, from the measured speed."""
    fault: str
    """Why the place can't be believed; empty while it can. It stays until the origin is set."""


class OdometryWatch:
    """Follows one robot's odometry.

    A fault stays: whoever set the origin has to look where the robot is, and set it again.
    """

    def __init__(self) -> None:
        self._origin: FloatArray | None = None
        self._fault = "the origin is not set"
        self._walked_m = 0.0
        self._before: tuple[float, FloatArray] | None = None
        self._moved_s = -math.inf

    def set_origin(self, pose: FloatArray) -> bool:
        """Let the pose x, y, yaw, shape (3,), be the origin; false where it isn't finite."""
        pose = np.array(pose, dtype=np.float64)
        if pose.shape != (3,) or not np.isfinite(pose).all():
            return False
        self._origin, self._fault = pose, ""
        self._walked_m, self._before = 0.0, None
        return True

    def lose(self, fault: str) -> None:
        """Believe nothing from here on, until the origin is set."""
        if self._origin is not None:
            self._fault = self._fault or fault

    def update(
        self, now_s: float, received_s: float, pose: FloatArray, velocity: FloatArray
    ) -> OdometryReading:
        """Take the newest odometry into account.

        Args:
            now_s: Monotonic time.
            received_s: When the odometry came.
            pose: x [m], y [m], yaw [rad], odometry's frame, shape (3,).
            velocity: vx [m/s], vy [m/s], wz [rad/s], base frame, shape (3,).
        """
        pose = np.asarray(pose, dtype=np.float64)
        if not self._fault:
            self._fault = self._found(now_s, received_s, pose, np.asarray(velocity))
        if self._origin is None or self._fault:
            return OdometryReading(np.full(3, np.nan), self._walked_m, self._fault)
        return OdometryReading(pose_from(self._origin, pose), self._walked_m, "")

    def _found(
        self, now_s: float, received_s: float, pose: FloatArray, velocity: FloatArray
    ) -> str:
        if not (np.isfinite(pose).all() and np.isfinite(velocity).all()):
            return "odometry is not finite"
        if not 0.0 <= now_s - received_s <= SILENT_S:
            return f"odometry is {now_s - received_s:.2f} s old, allowed is {SILENT_S:g} s"
        before, self._before = self._before, (received_s, pose)
        if before is None:
            self._moved_s = received_s
            return ""
        before_s, before_pose = before
        passed_s = received_s - before_s
        if passed_s <= 0.0:
            self._before = before
            return ""
        step_m = float(np.linalg.norm(pose[:2] - before_pose[:2]))
        turn_rad = abs(math.remainder(float(pose[2] - before_pose[2]), 2.0 * math.pi))
        if not step_m <= FASTEST_MPS * passed_s + JUMP_M:
            return f"odometry jumped by {step_m:.2f} m"
        if not turn_rad <= FASTEST_RADPS * passed_s + JUMP_RAD:
            return f"odometry jumped by {turn_rad:.2f} rad"
        speed_mps = float(np.linalg.norm(velocity[:2]))
        self._walked_m += speed_mps * passed_s
        if step_m > 0.0 or speed_mps < MOVING_MPS:
            self._moved_s = received_s
        if not received_s - self._moved_s <= FROZEN_S:
            return f"odometry stands still at {speed_mps:.2f} m/s"
        return ""


def pose_from(origin: FloatArray, pose: FloatArray) -> FloatArray:
    """A pose x, y, yaw in the frame of another, shape (..., 3)."""
    x, y, yaw = np.moveaxis(pose - origin, -1, 0)
    cos, sin = np.cos(origin[..., 2]), np.sin(origin[..., 2])
    return np.stack([cos * x + sin * y, cos * y - sin * x, yaw], axis=-1)
