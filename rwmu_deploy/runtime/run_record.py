"""The facts of a run, gathered tick by tick in bounded memory."""

from __future__ import annotations

from collections import Counter

import numpy as np

from rwmu_deploy.runtime.safety_monitor import SafetyState
from rwmu_deploy.runtime.tick_report import TickReport


class RunRecord:
    """Counts ticks by phase and state, and how well the velocity command was followed.

    `on_tick` is a listener of the control loop. What comes after the loop was stopped for good
    doesn't change `state`, so that the way a run ended stays visible.
    """

    def __init__(self) -> None:
        self.ticks = 0
        self.phases: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.monitor_levels: Counter[str] = Counter()
        """Ticks at each level of the monitor, where it could follow the robot."""
        self.state = SafetyState.DAMP
        """State of the latest tick before the stop."""
        self.reasons: tuple[str, ...] = ()
        self.fell = False
        self._walking = 0
        self._velocity_sum = np.zeros(3)
        self._error_square_sum = np.zeros(3)

    def on_tick(self, report: TickReport) -> None:
        """Take a report into account."""
        self.ticks += 1
        self.phases[report.phase] += 1
        self.states[report.state.name] += 1
        if report.monitor is not None and report.monitor.is_warm:
            self.monitor_levels[report.monitor.level.name] += 1
        if report.state is not SafetyState.STOPPED:
            self.state, self.reasons = report.state, report.reasons
            self.fell = self.fell or (report.fell and report.phase != "disarmed")
        if report.is_walking and report.robot_state is not None:
            linear, angular = (
                report.robot_state.base_linear_velocity_mps,
                report.robot_state.base_angular_velocity_radps,
            )
            velocity = np.array([linear[0], linear[1], angular[2]])
            self._walking += 1
            self._velocity_sum += velocity
            self._error_square_sum += (velocity - report.velocity_command) ** 2

    @property
    def mean_velocity(self) -> tuple[float, float, float]:
        """Mean vx [m/s], vy [m/s], wz [rad/s] while the policy walked; zero if it never did."""
        vx, vy, wz = self._velocity_sum / max(1, self._walking)
        return float(vx), float(vy), float(wz)

    @property
    def rms_velocity_error(self) -> tuple[float, float, float]:
        """Root mean square of velocity minus command, as `mean_velocity`."""
        vx, vy, wz = np.sqrt(self._error_square_sum / max(1, self._walking))
        return float(vx), float(vy), float(wz)
