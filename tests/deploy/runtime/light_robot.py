"""A robot without physics, for many thousands of ticks: joints that follow, sensors that breathe.

Joints go to their targets within two ticks; damped, they stay. Every source (joint states, IMU,
odometry) has its own time of receipt and can be silenced, frozen or bent on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import JointCommand, RobotState
from rwmu_deploy.runtime.sensor_gate import SOURCES

UPRIGHT = np.array([0.0, 0.0, -1.0])


@dataclass
class Source:
    """What one topic delivers."""

    values: dict[str, np.ndarray]
    received_s: float
    is_silent: bool = False
    is_frozen: bool = False


class LightRobot:
    def __init__(self, spec: RobotSpec, start_s: float, seed: int = 0) -> None:
        self._spec = spec
        self._rng = np.random.default_rng(seed)
        self._position_rad = spec.default_position_rad.copy()
        self._velocity_radps = np.zeros(spec.joint_count)
        self._target_rad: np.ndarray | None = None
        self._contact = np.ones(len(spec.contact_names))
        self.sources = {
            name: Source(self._measure(name), start_s, False, False) for name in SOURCES
        }
        self.lag_s = 0.0
        """Age of a sample when it arrives."""
        self.bend: Callable[[RobotState], RobotState] = lambda state: state
        self._composed: RobotState | None = None

    def advance(self, now_s: float) -> None:
        if self._target_rad is not None:
            step = 0.5 * (self._target_rad - self._position_rad)
            self._velocity_radps = step / self._spec.control_dt_s
            self._position_rad = self._position_rad + step
            # Faster than any limit of the drives it never is.
            self._velocity_radps = np.clip(self._velocity_radps, -8.0, 8.0)
        else:
            self._velocity_radps = np.zeros(self._spec.joint_count)
        for name, source in self.sources.items():
            if source.is_silent:
                continue
            source.received_s = now_s - self.lag_s
            if not source.is_frozen:
                source.values = self._measure(name)
        self._composed = None

    def latest_state(self) -> RobotState:
        if self._composed is None:
            values = {k: v for source in self.sources.values() for k, v in source.values.items()}
            received_s = min(source.received_s for source in self.sources.values())
            state = RobotState(**values, contact=self._contact, received_s=received_s)
            self._composed = self.bend(state)
        return self._composed

    def send(self, command: JointCommand) -> None:
        self._target_rad = None if command.is_damping else command.position_rad

    def _measure(self, source: str) -> dict[str, np.ndarray]:
        noise = self._rng.normal(0.0, 1e-4, 12)
        if source == "joint_states":
            return {
                "joint_position_rad": self._position_rad + noise,
                "joint_velocity_radps": self._velocity_radps + noise,
                "joint_torque_nm": noise,
            }
        if source == "imu":
            gravity = UPRIGHT + noise[3:6]
            return {
                "base_angular_velocity_radps": noise[:3],
                "projected_gravity": gravity / np.linalg.norm(gravity),
            }
        return {"base_linear_velocity_mps": noise[:3]}


def with_value(state: RobotState, field: str, index: int, value: float) -> RobotState:
    """A copy of a state in which one entry of one field is another."""
    values = getattr(state, field).copy()
    values[index] = value
    return replace(state, **{field: values})
