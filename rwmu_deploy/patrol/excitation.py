"""Small smooth noise on a policy's actions, so that a log also shows what the policy would not do.

A world model that has seen one policy alone knows nothing beside its path. The noise goes through
all that actions go through: limiter, safety, log, and the flight recorder, which sees it as the
policy's own answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.runtime.robot_link import Policy

FloatArray = NDArray[np.float64]
LARGEST_LEVEL = 0.5
_LARGEST_SIGMAS = 3.0


@dataclass(frozen=True)
class Excitation:
    """An Ornstein-Uhlenbeck process, each joint its own.

    Raises:
        ConfigError: A number is out of range.
    """

    level: float = 0.0
    """Standard deviation, in units of the action; 0: none."""
    time_constant_s: float = 0.1
    """Time after which it has forgotten itself (1/e)."""

    def __post_init__(self) -> None:
        if not (0.0 <= self.level <= LARGEST_LEVEL and 0.0 < self.time_constant_s <= 10.0):
            raise ConfigError(
                f"excitation of {self.level} with {self.time_constant_s} s is not allowed; the "
                f"level may be 0 to {LARGEST_LEVEL:g}, the time constant above 0, up to 10 s",
                fix="Begin with a level of 0.1.",
            )

    @property
    def says(self) -> str:
        """For a sidecar; empty without excitation."""
        if self.level == 0.0:
            return ""
        return (
            f"Ornstein-Uhlenbeck noise on actions: sigma {self.level:g}, "
            f"{self.time_constant_s:g} s"
        )


class ExcitedPolicy:
    """A policy, and noise on what it says.

    Args:
        policy: The policy.
        excitation: The noise.
        action_size: A.
        dt_s: Time between its answers.
        seed: Of the noise.
    """

    def __init__(
        self, policy: Policy, excitation: Excitation, action_size: int, dt_s: float, seed: int
    ) -> None:
        self._policy = policy
        self._level = excitation.level
        self._keep = math.exp(-dt_s / excitation.time_constant_s)
        self._rng = np.random.default_rng(seed)
        self._noise = self._rng.standard_normal(action_size)

    def action(self, observation: NDArray[np.float32]) -> FloatArray:
        """The policy's action and the noise of this step, shapes (O,) and (A,)."""
        noise = np.clip(self._noise, -_LARGEST_SIGMAS, _LARGEST_SIGMAS)
        fresh = self._rng.standard_normal(self._noise.shape)
        self._noise = self._keep * self._noise + math.sqrt(1.0 - self._keep**2) * fresh
        return self._policy.action(observation) + self._level * noise


def excited(policy: Policy, excitation: Excitation, spec: RobotSpec, seed: int) -> Policy:
    """The policy with its excitation; itself where there is none."""
    if excitation.level == 0.0:
        return policy
    return ExcitedPolicy(policy, excitation, spec.joint_count, spec.control_dt_s, seed)
