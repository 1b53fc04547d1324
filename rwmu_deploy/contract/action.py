"""Actions and joint position targets: target = default + scale * action, joint by joint."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.robot_spec import RobotSpec

FloatArray = NDArray[np.float64]


def target_from_action(spec: RobotSpec, action: NDArray[np.floating]) -> FloatArray:
    """Joint position target [rad] of an action, shape (..., J)."""
    return spec.default_position_rad + spec.action_scale * np.asarray(action, dtype=np.float64)


def action_from_target(spec: RobotSpec, target_rad: NDArray[np.floating]) -> FloatArray:
    """The action that commands a joint position target [rad], shape (..., J).

    What was applied after all limits is logged through this, so that the data say what the robot
    really did.
    """
    offset_rad = np.asarray(target_rad, dtype=np.float64) - spec.default_position_rad
    return offset_rad / spec.action_scale


def stated_action_scale(spec: RobotSpec) -> float | list[float]:
    """The action scale as files state it: one number, or one a joint where they differ."""
    scales: list[float] = spec.action_scale.tolist()
    return scales if len(set(scales)) > 1 else scales[0]


def action_bounds(spec: RobotSpec) -> tuple[FloatArray, FloatArray]:
    """Actions whose targets are the joint limits: lower and upper, each shape (J,)."""
    return action_from_target(spec, spec.lower_rad), action_from_target(spec, spec.upper_rad)
