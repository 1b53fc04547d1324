"""Limit position targets: no jump, no absurd effort, nothing outside the joint range.

J = joints, in RobotSpec order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import RobotState

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LimitedCommand:
    """What may be sent."""

    position_rad: FloatArray
    """Shape (J,)."""
    was_limited: NDArray[np.bool_]
    """Which joints differ from the request, shape (J,)."""


class CommandLimiter:
    """Brings a request inside the joint range and within one step of the previous command.

    The previous command lies inside the range, so both limits always leave it as a common choice;
    should it lie outside (it never does in the loop), the range wins over the step.

    Where the joint is known, a target may ask for `effort_target_ratio` times the effort limit:
    kp (target - q) - kd dq. The ratio is above 1 because the drive itself saturates, at every
    cycle, and a clamp at 50 Hz of just the limit would hold back torque for the 20 ms in which the
    joint moves on. The step wins over the effort: what is far off is approached without a jump.
    """

    def __init__(self, spec: RobotSpec) -> None:
        self._lower_rad = spec.lower_rad
        self._upper_rad = spec.upper_rad
        self._step_rad = spec.safety.command_step_rad
        self._reach_rad = (
            spec.safety.effort_target_ratio * spec.effort_limit_nm / spec.kp_nm_per_rad
        )
        self._damping_s = spec.kd_nms_per_rad / spec.kp_nm_per_rad

    def limit(
        self,
        requested_rad: FloatArray,
        previous_rad: FloatArray,
        measured: RobotState | None = None,
    ) -> LimitedCommand:
        """Limit a request.

        Args:
            requested_rad: Position targets, shape (J,). Joints that aren't finite keep the
                previous command; so do all, where the shape is another.
            previous_rad: The previous command, finite, shape (J,).
            measured: Where the joints are; None where it isn't known, or doesn't matter.
        """
        request = np.asarray(requested_rad, dtype=np.float64)
        if request.shape != previous_rad.shape:
            request = np.full_like(previous_rad, np.nan)
        usable = np.where(np.isfinite(request), request, previous_rad)
        if measured is not None:
            free_rad = (
                measured.joint_position_rad + self._damping_s * measured.joint_velocity_radps
            )
            usable = np.clip(usable, free_rad - self._reach_rad, free_rad + self._reach_rad)
        stepped = np.clip(usable, previous_rad - self._step_rad, previous_rad + self._step_rad)
        position_rad = np.clip(stepped, self._lower_rad, self._upper_rad)
        return LimitedCommand(position_rad, position_rad != request)
