"""The policy's observation: which values, in which order.

With J joints it has 12 + 3 J: velocities, gravity, velocity command, joint offsets, joint
velocities and the last action (RWM, arXiv:2501.10100, table S5). Torques belong to the state, not
to the observation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns

COMMAND_LABELS = ("vx_mps", "vy_mps", "wz_radps")


@dataclass(frozen=True)
class ObservationTerm:
    """A run of observation entries with one meaning."""

    name: str
    start: int
    labels: tuple[str, ...]
    unit: str
    frame: str
    noise: float
    """Half width of the uniform noise added in training (Isaac Lab 2.3 velocity task)."""

    @property
    def size(self) -> int:
        return len(self.labels)

    @property
    def slice(self) -> slice:
        return slice(self.start, self.start + self.size)


def observation_terms(spec: RobotSpec) -> tuple[ObservationTerm, ...]:
    """Terms of a robot's observation, in order."""
    axes, joints = ("x", "y", "z"), spec.joint_names
    layout = [
        ("base_linear_velocity_mps", axes, "m/s", "base", 0.1),
        ("base_angular_velocity_radps", axes, "rad/s", "base", 0.2),
        ("projected_gravity", axes, "1", "base", 0.05),
        ("velocity_command", COMMAND_LABELS, "m/s, m/s, rad/s", "base", 0.0),
        ("joint_position_offset_rad", joints, "rad", "joint", 0.01),
        ("joint_velocity_radps", joints, "rad/s", "joint", 1.5),
        ("last_action", joints, "1", "joint", 0.0),
    ]
    terms: list[ObservationTerm] = []
    for name, labels, unit, frame, noise in layout:
        start = terms[-1].start + terms[-1].size if terms else 0
        terms.append(ObservationTerm(name, start, labels, unit, frame, noise))
    return tuple(terms)


def observation_size(spec: RobotSpec) -> int:
    """Entries of a robot's observation (12 + 3 J)."""
    return sum(term.size for term in observation_terms(spec))


def build_observation(
    columns: TransitionColumns,
    state: NDArray[np.floating],
    velocity_command: NDArray[np.floating],
    last_action: NDArray[np.floating],
) -> NDArray[np.float32]:
    """Put an observation together.

    Args:
        columns: The robot's columns.
        state: State, shape (..., S).
        velocity_command: vx [m/s], vy [m/s], wz [rad/s] in the base frame, shape (..., 3).
        last_action: The action that produced `state`, shape (..., A).

    Returns:
        Observation, shape (..., observation_size), float32.
    """
    parts = [
        state[..., columns.base_linear_velocity_mps.slice],
        state[..., columns.base_angular_velocity_radps.slice],
        state[..., columns.projected_gravity.slice],
        velocity_command,
        state[..., columns.joint_position_offset_rad.slice],
        state[..., columns.joint_velocity_radps.slice],
        last_action,
    ]
    return np.concatenate(parts, axis=-1).astype(np.float32)
