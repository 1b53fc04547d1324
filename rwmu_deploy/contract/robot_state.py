"""What the robot measures, and what it is told, in RobotSpec joint order. J = joints."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.robot_spec import RobotSpec

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class RobotState:
    """One set of measurements. Vectors are float64, in SI units."""

    base_linear_velocity_mps: FloatArray
    """Base frame, shape (3,)."""
    base_angular_velocity_radps: FloatArray
    """Base frame, shape (3,)."""
    projected_gravity: FloatArray
    """Unit vector of gravity in the base frame, shape (3,)."""
    joint_position_rad: FloatArray
    """Shape (J,)."""
    joint_velocity_radps: FloatArray
    """Shape (J,)."""
    joint_torque_nm: FloatArray
    """Shape (J,)."""
    contact: FloatArray
    """1 in contact, 0 not, in the order of RobotSpec.contact_names."""
    received_s: float
    """Monotonic time at which the oldest part arrived."""
    extension: FloatArray = field(default_factory=lambda: np.zeros(0))
    """In the order of RobotSpec.extension_names; empty where nobody measures it."""

    def vector(self, spec: RobotSpec) -> FloatArray:
        """The state as the columns have it, shape (S,)."""
        return np.concatenate(
            [
                self.base_linear_velocity_mps,
                self.base_angular_velocity_radps,
                self.projected_gravity,
                self.joint_position_rad - spec.default_position_rad,
                self.joint_velocity_radps,
                self.joint_torque_nm,
            ]
        )


@dataclass(frozen=True)
class JointCommand:
    """What the joint controllers are told: torque = kp * (position - q) - kd * dq."""

    position_rad: FloatArray
    """Shape (J,)."""
    kp_nm_per_rad: FloatArray
    """Shape (J,); all zero while damping."""
    kd_nms_per_rad: FloatArray
    """Shape (J,)."""

    @property
    def is_damping(self) -> bool:
        return not self.kp_nm_per_rad.any()


def position_command(spec: RobotSpec, position_rad: FloatArray) -> JointCommand:
    """A position target with the gains that the policy was trained with."""
    return JointCommand(position_rad, spec.kp_nm_per_rad, spec.kd_nms_per_rad)


def damping_command(spec: RobotSpec, position_rad: FloatArray) -> JointCommand:
    """No position gain, only damping; the position is carried along for logs."""
    zero = np.zeros(spec.joint_count)
    return JointCommand(position_rad, zero, zero + spec.safety.damping_kd_nms_per_rad)


def gravity_in_base(quaternion_wxyz: NDArray[np.floating]) -> FloatArray:
    """Unit vector of gravity in the base frame.

    Args:
        quaternion_wxyz: Orientation of the base in the world (base to world), shape (..., 4).

    Returns:
        Shape (..., 3); (0, 0, -1) when upright.
    """
    w, x, y, z = np.moveaxis(np.asarray(quaternion_wxyz, dtype=np.float64), -1, 0)
    # Third row of the rotation matrix, negated: R^T (0, 0, -1).
    return np.stack(
        [-2.0 * (x * z - w * y), -2.0 * (y * z + w * x), 2.0 * (x * x + y * y) - 1.0], axis=-1
    )
