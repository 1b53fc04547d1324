"""What a robot publishes: measurements as ROS messages, joints in an order of its own."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray

from rwmu_deploy.contract.joint_map import JointMap
from rwmu_deploy.contract.labelled_table import CONTACT_COLUMNS
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import RobotState
from rwmu_ros.labelled_table import table_message
from rwmu_ros.message_conversion import velocity_at_origin

FloatArray = NDArray[np.float64]
_ODOM_FRAME = "odom"


class MeasurementMessages:
    """Fills one message of each kind again and again.

    Args:
        spec: The robot.
        joint_order: Joint names in the order of the published joint states.
        base_frame: Frame of IMU data and twist.

    Raises:
        RobotSpecError: `joint_order` names a joint that the robot has not, or one twice.
    """

    def __init__(self, spec: RobotSpec, joint_order: Sequence[str], base_frame: str) -> None:
        self._spec = spec
        self._to_published = JointMap(spec.joint_names, joint_order, source="the robot")
        self._joints = JointState(name=list(joint_order))
        self._imu = Imu()
        self._imu.header.frame_id = base_frame
        # No accelerometer: REP 145 marks it so.
        self._imu.linear_acceleration_covariance[0] = -1.0
        self._odom = Odometry(child_frame_id=base_frame)
        self._odom.header.frame_id = _ODOM_FRAME

    def joint_states(self, state: RobotState, stamp: Time) -> JointState:
        """Position, velocity and torque of every joint."""
        message, order = self._joints, self._to_published
        message.header.stamp = stamp
        message.position = array("d", order(state.joint_position_rad).tobytes())
        message.velocity = array("d", order(state.joint_velocity_radps).tobytes())
        message.effort = array("d", order(state.joint_torque_nm).tobytes())
        return message

    def imu(self, state: RobotState, stamp: Time) -> Imu:
        """Orientation with heading 0, and angular velocity."""
        message, rate = self._imu, state.base_angular_velocity_radps
        message.header.stamp = stamp
        w, x, y, z = tilt_quaternion_wxyz(state.projected_gravity)
        q = message.orientation
        q.x, q.y, q.z, q.w = x, y, z, w
        turn = message.angular_velocity
        turn.x, turn.y, turn.z = (float(value) for value in rate)
        return message

    def odometry(
        self, state: RobotState, position_m: FloatArray, stamp: Time, yaw_rad: float = 0.0
    ) -> Odometry:
        """Pose in the world, and velocities of the base frame's origin in the base frame."""
        message, rate = self._odom, state.base_angular_velocity_radps
        message.header.stamp = stamp
        place = message.pose.pose.position
        place.x, place.y, place.z = (float(value) for value in position_m)
        w, x, y, z = tilt_quaternion_wxyz(state.projected_gravity)
        q = message.pose.pose.orientation
        # The heading, turned by the tilt.
        c, s = math.cos(0.5 * yaw_rad), math.sin(0.5 * yaw_rad)
        q.w, q.x, q.y, q.z = c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w
        linear, angular = message.twist.twist.linear, message.twist.twist.angular
        velocity_mps = velocity_at_origin(self._spec, state.base_linear_velocity_mps, rate)
        linear.x, linear.y, linear.z = (float(value) for value in velocity_mps)
        angular.x, angular.y, angular.z = (float(value) for value in rate)
        return message

    def contacts(self, state: RobotState) -> Float64MultiArray:
        """Contact of every body that the robot's data name."""
        return table_message(self._spec.contact_names, CONTACT_COLUMNS, state.contact[:, None])


def leg_major(joint_names: Sequence[str]) -> list[str]:
    """Joints grouped by the part before the first underscore: all of a leg, then the next leg."""
    legs = dict.fromkeys(name.split("_")[0] for name in joint_names)
    return [name for leg in legs for name in joint_names if name.split("_")[0] == leg]


def tilt_quaternion_wxyz(projected_gravity: FloatArray) -> tuple[float, float, float, float]:
    """The shortest rotation, base to world, under which gravity is seen so; its heading is 0."""
    gx, gy, gz = (float(value) for value in projected_gravity)
    # Shortest arc from g to (0, 0, -1): (1 + g . d, g x d), normalised.
    quaternion = np.array([1.0 - gz, -gy, gx, 0.0])
    length = float(np.linalg.norm(quaternion))
    if not length > 1e-9:
        return (0.0, 1.0, 0.0, 0.0)
    w, x, y, z = (quaternion / length).tolist()
    return (w, x, y, z)
