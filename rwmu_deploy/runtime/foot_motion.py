"""How high each foot is and how fast it moves, from the joints, for robots that do not see it.

The lowest foot is taken to stand on the ground: right in every phase of walking but flight.
J = joints, F = feet, X = extension columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.foot_columns import foot_columns
from rwmu_deploy.contract.leg_model import load_leg_model
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import RobotState
from rwmu_deploy.runtime.foot_force import foot_jacobian, link_chain, link_frames

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
        self._extension = np.zeros(len(spec.extension_names))
        self._com_m = np.array(spec.simulation.base_com_in_base_m)
        self._legs = None if self._columns is None else load_leg_model(spec)

    def extension(self, state: RobotState) -> FloatArray:
        """Extension columns of a measurement: its own where it has some, shape (X,)."""
        columns, legs = self._columns, self._legs
        if state.extension.size or columns is None or legs is None:
            return state.extension
        turn, place = link_frames(legs, state.joint_position_rad)
        omega, up = state.base_angular_velocity_radps, -state.projected_gravity
        base_mps = state.base_linear_velocity_mps - np.cross(omega, self._com_m)
        height_m: list[float] = []
        speed_mps: list[float] = []
        for foot, link in enumerate(legs.foot_link):
            joints = [legs.links[each].joint for each in link_chain(legs, link)]
            foot_m, jacobian = foot_jacobian(legs, turn, place, foot)
            turned_mps = np.cross(omega, foot_m) + jacobian @ state.joint_velocity_radps[joints]
            velocity_mps = base_mps + turned_mps
            height_m.append(float(foot_m @ up))
            speed_mps.append(float(np.linalg.norm(velocity_mps - (velocity_mps @ up) * up)))
        extension = self._extension.copy()
        extension[list(columns.height_m)] = np.array(height_m) - min(height_m)
        extension[list(columns.speed_mps)] = speed_mps
        return extension
