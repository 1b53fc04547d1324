"""From the pose the robot was found in to the pose the policy starts from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import RobotState

FloatArray = NDArray[np.float64]


def supporting_position_rad(spec: RobotSpec, state: RobotState) -> FloatArray:
    """The position target that asks of every joint the torque that was measured, shape (J,).

    A robot that another controller holds upright is taken over without a dip: the measured pose as
    target would ask for no torque, and a standing robot sinks by centimetres before the error has
    built up. Torque may lead the target by half of the largest command step at most.
    """
    torque_nm = state.joint_torque_nm + spec.kd_nms_per_rad * state.joint_velocity_radps
    lead_rad = 0.5 * spec.safety.command_step_rad
    ahead_rad = np.clip(torque_nm / spec.kp_nm_per_rad, -lead_rad, lead_rad)
    return np.clip(state.joint_position_rad + ahead_rad, spec.lower_rad, spec.upper_rad)


@dataclass(frozen=True, eq=False)
class RampMemory:
    """How far a ramp is."""

    start_rad: FloatArray
    tick: int


class StandUpRamp:
    """A smooth ramp that starts and ends at rest.

    It moves by whole ticks instead of by time, so that a pause (HOLD) or a skipped tick never
    makes it jump. Positions have the shape (J,).

    Args:
        start_rad: The first command.
        goal_rad: The last command.
        duration_s: Time between them.
        tick_s: Time between ticks.

    Raises:
        ConfigError: A time isn't a finite number above 0.
    """

    def __init__(
        self, start_rad: FloatArray, goal_rad: FloatArray, duration_s: float, tick_s: float
    ) -> None:
        if not (0.0 < duration_s < math.inf and 0.0 < tick_s < math.inf):
            raise ConfigError(
                f"a stand-up of {duration_s} s in ticks of {tick_s} s is impossible",
                fix="Give finite times above 0 s.",
            )
        self._start_rad = start_rad
        self._goal_rad = goal_rad
        self._ticks = max(1, math.ceil(duration_s / tick_s - 1e-6))
        self._tick = 0

    @property
    def is_over(self) -> bool:
        """Whether the goal was already commanded."""
        return self._tick > self._ticks

    def next_position_rad(self) -> FloatArray:
        """The command of the next tick."""
        progress = min(1.0, self._tick / self._ticks)
        self._tick += 1
        share = 0.5 - 0.5 * math.cos(math.pi * progress)
        return self._start_rad + share * (self._goal_rad - self._start_rad)

    @property
    def memory(self) -> RampMemory:
        """All that later commands depend on."""
        return RampMemory(self._start_rad, self._tick)

    def restore(self, memory: RampMemory) -> None:
        """Go on from there."""
        self._start_rad, self._tick = memory.start_rad, memory.tick
