"""What happened in one tick of the control loop."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.robot_state import JointCommand, RobotState
from rwmu_deploy.runtime.safety_monitor import SafetyState
from rwmu_deploy.runtime.uncertainty_monitor import MonitorReading

FloatArray = NDArray[np.float64]
Phase = Literal["disarmed", "stand_up", "policy"]


@dataclass(frozen=True)
class TickReport:
    """One tick, from measurement to command."""

    tick_index: int
    now_s: float
    phase: Phase
    state: SafetyState
    reasons: tuple[str, ...]
    """Why the state isn't RUN."""
    robot_state: RobotState | None
    """The newest usable measurements."""
    fresh: bool
    """Whether they are new since the last tick."""
    velocity_command: FloatArray
    """The one that the policy saw; zero where it wasn't asked. Shape (3,)."""
    observation: NDArray[np.float32] | None
    """What the policy saw; None where it wasn't asked."""
    raw_action: FloatArray | None
    """What the policy said, shape (A,); None where it wasn't asked or said nothing usable."""
    applied_action: FloatArray
    """The action of the position really sent, shape (A,)."""
    command: JointCommand
    """What was sent."""
    fell: bool
    """Whether the robot is tilted too far to get back."""
    monitor: MonitorReading | None = None
    """What the monitor says; None where there is none, or it has nothing to follow."""
    skipped: int = 0
    """Grid points that got no tick since the previous one."""
    sensor_age_s: float = math.inf
    """Age of the measurements; infinite where there are none."""

    @property
    def is_walking(self) -> bool:
        """Whether the policy was in charge, on a fresh measurement."""
        return self.phase == "policy" and self.state is SafetyState.RUN and self.fresh

    @property
    def is_stopped(self) -> bool:
        """Whether the loop has ended for good."""
        return self.state is SafetyState.STOPPED
