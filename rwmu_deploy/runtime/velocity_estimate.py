"""How fast the base moves, from joints, gyroscope and standing feet, where no sensor says it.

A foot that stands on the ground says how fast the base moves (leg odometry). Each says it with
an error, one that slips or lands with a large one, so they correct a filter whose state is the
velocity, and the farther one is from what is expected the less it counts. Between, the velocity
may change as fast as a walking robot accelerates. `benchmarks/velocity_estimate.py` measures it.

N = robots, J = joints, F = feet, K = contacts; the leading N may be missing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.leg_model import load_leg_model
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.vector_product import cross
from rwmu_deploy.runtime.leg_kinematics import feet_in_base

FloatArray = NDArray[np.float64]
SAYS = "estimated from joints, gyroscope and standing feet"
ACCELERATION_MPS2 = 3.0
"""Standard deviation of the base's acceleration along each axis while it walks."""
FOOT_MPS = 0.1
"""Standard deviation of what a standing foot says, along each axis."""
TRUSTED_DEVIATIONS = 1.0
"""A foot that is farther off counts less: its variance grows with the square of the distance."""
FLIGHT_S = 0.5
"""While no foot stands, the velocity fades with this time constant: a robot that hangs stands
still."""
_LONGEST_STEP_S = 0.1
"""After a longer pause everything begins anew."""
_UNKNOWN_MPS = 1.0


class VelocityEstimate:
    """Follows one robot, or N that are measured at the same times.

    Args:
        spec: The robot.

    Raises:
        RobotSpecError: Its model file lacks a joint or a foot.
    """

    def __init__(self, spec: RobotSpec) -> None:
        self._legs = load_leg_model(spec)
        self._feet = [spec.contact_names.index(name) for name in spec.foot_names]
        self._com_m = np.array(spec.simulation.base_com_in_base_m)
        self._velocity: FloatArray | None = None
        self._variance: FloatArray = np.zeros(())
        self._measured_s = -math.inf

    def step(
        self,
        measured_s: float,
        joint_position_rad: FloatArray,
        joint_velocity_radps: FloatArray,
        base_angular_velocity_radps: FloatArray,
        contact: FloatArray,
    ) -> FloatArray:
        """Velocity of the base's centre of mass in the base frame [m/s], shape (N, 3).

        Args:
            measured_s: When the joints were measured; the same time again gives the same answer.
            joint_position_rad: Shape (N, J).
            joint_velocity_radps: Shape (N, J).
            base_angular_velocity_radps: Base frame, shape (N, 3).
            contact: In the order of `contact_names`, 0 or 1, shape (N, K).
        """
        omega = base_angular_velocity_radps
        step_s = measured_s - self._measured_s
        velocity = self._velocity
        # What is not finite once would stay so for ever.
        goes_on = velocity is not None and bool(np.isfinite(velocity).all())
        if velocity is None or not (goes_on and 0.0 <= step_s <= _LONGEST_STEP_S):
            velocity, step_s = np.zeros_like(omega), 0.0
            self._variance = np.full(omega.shape[:-1], _UNKNOWN_MPS**2)
        elif step_s == 0.0:
            return self._at_centre_of_mass(velocity, omega)
        stands = contact[..., self._feet] > 0.5
        # Seen from the base, which has turned.
        fading = np.where(stands.any(axis=-1), 1.0, math.exp(-step_s / FLIGHT_S))
        velocity = fading[..., None] * (velocity - step_s * cross(omega, velocity))
        variance = self._variance + (ACCELERATION_MPS2 * step_s) ** 2
        said = self._said_by_feet(joint_position_rad, joint_velocity_radps, omega)
        for foot in range(len(self._feet)):
            error = said[..., foot, :] - velocity
            deviations = np.linalg.norm(error, axis=-1) / np.sqrt(3.0 * (variance + FOOT_MPS**2))
            doubt = np.maximum(1.0, deviations / TRUSTED_DEVIATIONS) ** 2
            gain = np.where(stands[..., foot], variance / (variance + FOOT_MPS**2 * doubt), 0.0)
            velocity = velocity + gain[..., None] * error
            variance = variance * (1.0 - gain)
        self._velocity, self._variance, self._measured_s = velocity, variance, measured_s
        return self._at_centre_of_mass(velocity, omega)

    def forget(self) -> None:
        """Begin anew."""
        self._velocity, self._measured_s = None, -math.inf

    def _said_by_feet(
        self, position_rad: FloatArray, velocity_radps: FloatArray, omega: FloatArray
    ) -> FloatArray:
        """The base's velocity if a foot stood, for each foot; base frame, shape (N, F, 3)."""
        foot_m, leg_mps = feet_in_base(self._legs, position_rad, velocity_radps)
        return -(cross(omega[..., None, :], foot_m) + leg_mps)

    def _at_centre_of_mass(self, velocity: FloatArray, omega: FloatArray) -> FloatArray:
        return velocity + cross(omega, self._com_m)
