"""How high each foot is and how fast it moves, from the joints, for robots that do not see it.

The lowest foot is taken to stand on the ground: right in every phase of walking but flight.
N = rows, C = CSV columns, J = joints, F = feet, X = extension columns; the leading N may be
missing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.foot_columns import foot_columns
from rwmu_deploy.contract.leg_model import load_leg_model
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.contract.vector_product import cross
from rwmu_deploy.runtime.leg_kinematics import feet_in_base

FloatArray = NDArray[np.float64]
SAYS = "feet's height and speed from joints and base velocity; the lowest foot counts as height 0"


class FootMotion:
    """Forward kinematics of one robot's legs.

    Args:
        spec: The robot.

    Raises:
        RobotSpecError: Its extension is no foot's height and speed, or its model file lacks a
            joint or a foot.
    """

    def __init__(self, spec: RobotSpec) -> None:
        self._columns = foot_columns(spec)
        self._row = TransitionColumns.of(spec)
        self._default_rad = spec.default_position_rad
        self._com_m = np.array(spec.simulation.base_com_in_base_m)
        self._legs = None if self._columns is None else load_leg_model(spec)

    def fill(self, rows: FloatArray) -> None:
        """Write the extension columns of CSV rows (N, C) that say NaN there: nobody measured them.

        It takes a good half millisecond, and belongs into no control tick.
        """
        columns = self._row
        extension = rows[..., columns.extension.slice]
        if not np.isnan(extension).any():
            return
        estimated = self.from_joints(
            rows[..., columns.base_linear_velocity_mps.slice],
            rows[..., columns.base_angular_velocity_radps.slice],
            rows[..., columns.projected_gravity.slice],
            rows[..., columns.joint_position_offset_rad.slice] + self._default_rad,
            rows[..., columns.joint_velocity_radps.slice],
        )
        extension[:] = np.where(np.isnan(extension), estimated, extension)

    def from_joints(
        self,
        base_linear_velocity_mps: FloatArray,
        base_angular_velocity_radps: FloatArray,
        projected_gravity: FloatArray,
        joint_position_rad: FloatArray,
        joint_velocity_radps: FloatArray,
    ) -> FloatArray:
        """Extension columns, shape (N, X).

        Args:
            base_linear_velocity_mps: Of the base's centre of mass, base frame, shape (N, 3).
            base_angular_velocity_radps: Base frame, shape (N, 3).
            projected_gravity: Unit vector, base frame, shape (N, 3).
            joint_position_rad: Shape (N, J).
            joint_velocity_radps: Shape (N, J).
        """
        columns, legs = self._columns, self._legs
        extension = np.zeros((*joint_position_rad.shape[:-1], self._row.extension.size))
        if columns is None or legs is None:
            return extension
        omega, up = base_angular_velocity_radps[..., None, :], -projected_gravity[..., None, :]
        foot_m, leg_mps = feet_in_base(legs, joint_position_rad, joint_velocity_radps)
        base_mps = base_linear_velocity_mps[..., None, :] - cross(omega, self._com_m)
        velocity_mps = base_mps + cross(omega, foot_m) + leg_mps
        upward_mps = (velocity_mps * up).sum(axis=-1, keepdims=True)
        along_mps = np.linalg.norm(velocity_mps - upward_mps * up, axis=-1)
        extension[..., columns.height_m] = (foot_m * up).sum(axis=-1)
        extension[..., columns.speed_mps] = along_mps
        heights_m = extension[..., columns.height_m]
        extension[..., columns.height_m] = heights_m - heights_m.min(axis=-1, keepdims=True)
        return extension
