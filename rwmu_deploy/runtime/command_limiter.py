"""Limit joint position targets so that no tick can command a jump or leave the joint range.

J = joints, in RobotSpec order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.robot_spec import RobotSpec

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

    Effort is left to the actuator, which saturates it at every physics or drive cycle: a clamp of
    the target at 50 Hz would hold back torque for the 20 ms in which the joint moves on, and the
    target sent would no longer be the action that is logged and that training calls the last one.
    """

    def __init__(self, spec: RobotSpec) -> None:
        self._lower_rad = spec.lower_rad
        self._upper_rad = spec.upper_rad
        self._step_rad = spec.safety.command_step_rad

    def limit(self, requested_rad: FloatArray, previous_rad: FloatArray) -> LimitedCommand:
        """Limit a request.

        Args:
            requested_rad: Position targets, shape (J,). Joints that aren't finite keep the
                previous command; so do all, where the shape is another.
            previous_rad: The previous command, finite, shape (J,).
        """
        request = np.asarray(requested_rad, dtype=np.float64)
        if request.shape != previous_rad.shape:
            request = np.full_like(previous_rad, np.nan)
        usable = np.where(np.isfinite(request), request, previous_rad)
        stepped = np.clip(usable, previous_rad - self._step_rad, previous_rad + self._step_rad)
        position_rad = np.clip(stepped, self._lower_rad, self._upper_rad)
        return LimitedCommand(position_rad, position_rad != request)
