"""Which motors are too hot, until they have cooled. J = joints, in RobotSpec order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rwmu_deploy.contract.robot_state import FloatArray
from rwmu_deploy.robots.unitree.link_limits import LinkLimits
from rwmu_deploy.runtime.safety_monitor import SafetyState, Verdict


class MotorHeat:
    """Remembers which motors were too hot.

    Args:
        joint_names: Of J joints.
        limits: Temperatures.
    """

    def __init__(self, joint_names: Sequence[str], limits: LinkLimits) -> None:
        self._names = tuple(joint_names)
        self._limits = limits
        self._is_hot = np.zeros(len(self._names), dtype=bool)
        self._detail = ""

    def take(self, casing_c: FloatArray, winding_c: FloatArray) -> None:
        """Take the newest temperatures, shape (J,) each; what isn't a number is hot."""
        # Degrees below the nearer of the two limits; compared so that NaN is hot.
        below_c = np.minimum(
            self._limits.casing_damp_c - casing_c, self._limits.winding_damp_c - winding_c
        )
        is_cool = (below_c > 0.0) & (~self._is_hot | (below_c >= self._limits.cooled_by_c))
        self._is_hot = ~is_cool
        if self._is_hot.any():
            index = int(np.argmin(np.where(self._is_hot, below_c, np.inf)))
            self._detail = (
                f"{self._names[index]} has {casing_c[index]:g} C at its casing and "
                f"{winding_c[index]:g} C in its winding, allowed is below "
                f"{self._limits.casing_damp_c:g} C and {self._limits.winding_damp_c:g} C, and "
                f"{self._limits.cooled_by_c:g} C less once it was hot"
            )

    def verdicts(self) -> list[Verdict]:
        """DAMP while a motor is hot."""
        if not self._is_hot.any():
            return []
        return [Verdict(SafetyState.DAMP, "motor_hot", self._detail)]
