"""Which feet stand on the ground, from joint torques, for robots that do not feel it.

A foot is in contact while the ground carries more than a share of the robot's weight on it
(`foot_force`). Bodies that are no feet can't be told: they are 0, and the log says so. How often
it is right, `benchmarks/contact_estimate.py` says.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.leg_model import load_leg_model
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.runtime.foot_force import foot_force_n

FloatArray = NDArray[np.float64]
WEIGHT_SHARE = 0.08
"""Of the robot's weight on one foot: 40 N of a robot of 51 kg."""
SAYS = (
    f"feet estimated from joint torques: more than {WEIGHT_SHARE:g} of the weight on a foot; "
    "other bodies are 0"
)
_GRAVITY_MPS2 = 9.81
_LONGEST_STEP_S = 0.1
"""Between measurements that tell an acceleration; after a longer pause it counts as zero."""


class ContactEstimate:
    """Follows one robot.

    Args:
        spec: The robot.

    Raises:
        RobotSpecError: Its model file lacks a joint or a foot.
    """

    def __init__(self, spec: RobotSpec) -> None:
        self._legs = load_leg_model(spec)
        self._threshold_n = WEIGHT_SHARE * _GRAVITY_MPS2 * self._legs.total_mass_kg
        self._feet = [spec.contact_names.index(name) for name in spec.foot_names]
        self._contact: FloatArray = np.zeros(len(spec.contact_names))
        self._before: tuple[float, FloatArray] | None = None

    def step(
        self,
        measured_s: float,
        joint_position_rad: FloatArray,
        joint_velocity_radps: FloatArray,
        joint_torque_nm: FloatArray,
        projected_gravity: FloatArray,
    ) -> FloatArray:
        """Contacts in the order of `contact_names`, 0 or 1.

        Args:
            measured_s: When the joints were measured; the same time again gives the same answer.
            joint_position_rad: Shape (J,).
            joint_velocity_radps: Shape (J,).
            joint_torque_nm: Shape (J,).
            projected_gravity: Unit vector, base frame, shape (3,).
        """
        before = self._before
        if before is not None and measured_s == before[0]:
            return self._contact
        self._before = (measured_s, joint_velocity_radps)
        acceleration = np.zeros_like(joint_velocity_radps)
        if before is not None and 0.0 < measured_s - before[0] <= _LONGEST_STEP_S:
            acceleration = (joint_velocity_radps - before[1]) / (measured_s - before[0])
        force_n = foot_force_n(
            self._legs,
            joint_position_rad,
            joint_velocity_radps,
            acceleration,
            joint_torque_nm,
            projected_gravity,
        )
        contact = np.zeros_like(self._contact)
        contact[self._feet] = -(force_n @ projected_gravity) > self._threshold_n
        self._contact = contact
        return contact
