"""All that a control loop carries from one tick to the next, so that it can be taken up again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.runtime.late_ticks import LateMemory
from rwmu_deploy.runtime.safety_monitor import SafetyMemory
from rwmu_deploy.runtime.sensor_gate import GateMemory
from rwmu_deploy.runtime.stand_up import RampMemory
from rwmu_deploy.runtime.tick_report import Phase
from rwmu_deploy.runtime.velocity_command import VelocityMemory


@dataclass(frozen=True, eq=False)
class LoopMemory:
    """What a control loop knows between two ticks.

    A loop that is restored to it and given the same inputs decides the same. Robot, policy and
    guard have memories of their own, which are not in here.
    """

    gate: GateMemory
    safety: SafetyMemory
    late_ticks: LateMemory
    velocity: VelocityMemory
    ramp: RampMemory
    phase: Phase
    sent_rad: NDArray[np.float64]
    """Position of the last command, shape (J,)."""
    policy_bad_in_a_row: int
    tick_index: int
    newest_now_s: float
    faults: Mapping[str, int]
    """How often each fault occurred."""
