"""Where odometry says that the robot is, and how fast it moves: what a fence needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from nav_msgs.msg import Odometry
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_ros.message_conversion import base_origin_velocity

FloatArray = NDArray[np.float64]
_NOT_PROVIDED = -1.0
_QUATERNION_NORM_TOLERANCE = 0.02


@dataclass(frozen=True)
class OdometryPlace:
    """One odometry message."""

    pose: FloatArray
    """x [m], y [m], yaw [rad] in the odometry's frame, shape (3,)."""
    velocity: FloatArray
    """vx [m/s], vy [m/s], wz [rad/s] in the base frame, shape (3,)."""


def odometry_place(message: Odometry, base_frame: str) -> OdometryPlace:
    """Pose and velocity of a message.

    Raises:
        RobotLinkError: A part is not provided or not finite, the twist is not in the base frame,
            or the orientation is no unit quaternion.
    """
    linear_mps = base_origin_velocity(message, base_frame)
    if message.pose.covariance[0] == _NOT_PROVIDED:
        raise RobotLinkError(
            "odometry says that it has no pose (covariance[0] is -1)",
            fix="Use an estimator that provides it: the fence lies about its origin.",
        )
    place, q = message.pose.pose.position, message.pose.pose.orientation
    norm = math.sqrt(q.w**2 + q.x**2 + q.y**2 + q.z**2)
    if not abs(norm - 1.0) <= _QUATERNION_NORM_TOLERANCE:
        raise RobotLinkError(
            f"odometry orientation has norm {norm:.3g}, not 1", fix="Publish a unit quaternion."
        )
    yaw = math.atan2(2.0 * (q.w * q.z + q.x * q.y), q.w**2 + q.x**2 - q.y**2 - q.z**2)
    pose = np.array([place.x, place.y, yaw])
    velocity = np.array([linear_mps[0], linear_mps[1], message.twist.twist.angular.z])
    if not (np.isfinite(pose).all() and np.isfinite(velocity).all()):
        raise RobotLinkError("odometry is not finite", fix="Look at the estimator.")
    return OdometryPlace(pose, velocity)
