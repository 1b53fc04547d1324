"""Training episodes end when the robot is low or tilted, long before its base touches the ground.

Under the noise of a fresh policy the feet creep outward, and within a second the robot lies on its
thighs. There every reward is clipped to zero, so nothing pulls it up again, and its rows fill the
batch. Ended early, the same robot teaches that standing tall pays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.environment.dynamics import DynamicsOutcome
from rwmu_train.environment.simulated_dynamics import SimulatedDynamics


@dataclass(frozen=True)
class EarlyEndLimits:
    """Where a training episode ends."""

    height_share: float = 0.63
    """Lowest base height, as a share of the height at which robots are put down."""
    tilt_rad: float = 0.86
    """Largest angle between the base's vertical and gravity."""


class EarlyEnd:
    """Simulated robots whose `fell` is also true where they are low or tilted."""

    def __init__(self, inner: SimulatedDynamics, limits: EarlyEndLimits | None = None) -> None:
        limits = limits or EarlyEndLimits()
        spec = inner.robots.spec
        self._inner = inner
        self._gravity = TransitionColumns.of(spec).projected_gravity.slice
        self._lowest_m = limits.height_share * spec.simulation.initial_height_m
        self._least_upright = float(torch.cos(torch.tensor(limits.tilt_rad)))
        self.count, self.device = inner.count, inner.device

    def reset(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """As the robots themselves."""
        return self._inner.reset(index)

    def push(self, index: Tensor, velocity_mps: Tensor) -> Tensor:
        """As the robots themselves."""
        return self._inner.push(index, velocity_mps)

    def step(self, action: Tensor) -> DynamicsOutcome:
        """As the robots themselves, with more falls."""
        outcome = self._inner.step(action)
        height_m = torch.from_numpy(self._inner.robots.base_position_m[:, 2])
        upright = -outcome.state[:, self._gravity][:, 2]
        stands = (height_m >= self._lowest_m) & (upright >= self._least_upright)
        return replace(outcome, fell=outcome.fell | ~stands)
