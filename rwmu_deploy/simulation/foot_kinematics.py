"""How fast the feet move, by the robot's legs: a foot that stands on the ground does not.

N = rows, F = feet, J = joints, in RobotSpec order.
"""

# mujoco's compiled modules carry no types.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.simulation.robot_model import RobotModel

FloatArray = NDArray[np.float64]


class FootKinematics:
    """Forward kinematics of a robot's MJCF.

    Args:
        spec: The robot.

    Raises:
        RobotSpecError: The model lacks something that the spec names.
    """

    def __init__(self, spec: RobotSpec) -> None:
        self._model = RobotModel(spec)
        self._data = mujoco.MjData(self._model.mj)
        sensors = [
            self._model.contact_sensor[spec.contact_names.index(name)] for name in spec.foot_names
        ]
        addresses = self._model.mj.sensor_adr.tolist()
        self._site = [self._model.mj.sensor_objid[addresses.index(adr)] for adr in sensors]
        self._com = np.array(spec.simulation.base_com_in_base_m)

    def foot_velocity_mps(
        self,
        base_linear_velocity_mps: FloatArray,
        base_angular_velocity_radps: FloatArray,
        joint_position_rad: FloatArray,
        joint_velocity_radps: FloatArray,
    ) -> FloatArray:
        """Velocity of the feet over the ground in the base frame, shape (N, F, 3).

        Args:
            base_linear_velocity_mps: Of the base's centre of mass, base frame, shape (N, 3).
            base_angular_velocity_radps: Base frame, shape (N, 3).
            joint_position_rad: Shape (N, J).
            joint_velocity_radps: Shape (N, J).
        """
        mj, data, model = self._model.mj, self._data, self._model
        generalised = np.zeros((len(joint_position_rad), mj.nv))
        generalised[:, :3] = base_linear_velocity_mps - np.cross(
            base_angular_velocity_radps, self._com
        )
        generalised[:, 3:6] = base_angular_velocity_radps
        generalised[:, model.joint_qvel] = joint_velocity_radps
        jacobian = np.zeros((len(self._site), 3, mj.nv))
        velocity = np.empty((len(joint_position_rad), len(self._site), 3))
        # The base lies at the origin without a turn, so that its frame is the world's.
        data.qpos[:7] = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
        for row, position in enumerate(joint_position_rad):
            data.qpos[model.joint_qpos] = position
            mujoco.mj_kinematics(mj, data)
            mujoco.mj_comPos(mj, data)
            for foot, site in enumerate(self._site):
                mujoco.mj_jacSite(mj, data, jacobian[foot], None, site)
            velocity[row] = jacobian @ generalised[row]
        return velocity
