"""Training episodes end when a robot is low, tilted or on its knees, long before it has fallen.

Under the noise of a fresh policy the feet creep outward, and within a second the robot lies on its
thighs. There every reward is clipped to zero, so nothing pulls it up again, and its rows fill the
batch. Ended early, the same robot teaches that standing tall pays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import cos

import torch
from torch import Tensor

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.environment.chosen_robots import ChosenRobots
from rwmu_train.environment.dynamics import Dynamics, DynamicsOutcome


@dataclass(frozen=True)
class EarlyEndLimits:
    """Where a training episode ends."""

    height_share: float = 0.63
    """Lowest base height, as a share of the height at which robots are put down. It counts only
    where the height is known: a transition row has none."""
    tilt_rad: float = 0.86
    """Largest angle between the base's vertical and gravity."""
    undesired_contact: bool = False
    """Whether the episode also ends where a body touches that should not."""


class EarlyEnd:
    """Dynamics whose `fell` is also true beyond the limits.

    Args:
        inner: What moves the robots.
        spec: The robot.
        limits: Where episodes end.
        base_height_m: Present base heights, shape (N,); None where they are not known.
    """

    def __init__(
        self,
        inner: Dynamics,
        spec: RobotSpec,
        limits: EarlyEndLimits,
        base_height_m: Callable[[], Tensor] | None = None,
    ) -> None:
        self._inner, self._base_height_m = inner, base_height_m
        self._gravity = TransitionColumns.of(spec).projected_gravity.slice
        self._lowest_m = limits.height_share * spec.simulation.initial_height_m
        self._least_upright = cos(limits.tilt_rad)
        self.count, self.device = inner.count, inner.device
        undesired = [
            index
            for index, name in enumerate(spec.contact_names)
            if limits.undesired_contact and name not in spec.foot_names
        ]
        self._undesired = torch.tensor(undesired, dtype=torch.long, device=self.device)

    def reset(self, who: ChosenRobots) -> tuple[Tensor, Tensor]:
        """As the inner dynamics."""
        return self._inner.reset(who)

    def push(self, who: ChosenRobots, velocity_mps: Tensor) -> Tensor:
        """As the inner dynamics."""
        return self._inner.push(who, velocity_mps)

    def step(self, action: Tensor) -> DynamicsOutcome:
        """As the inner dynamics, with more falls."""
        outcome = self._inner.step(action)
        good = -outcome.state[:, self._gravity][:, 2] >= self._least_upright
        if self._base_height_m is not None:
            good = good & (self._base_height_m() >= self._lowest_m)
        if len(self._undesired):
            good = good & (outcome.contact[:, self._undesired].sum(1) < 0.5)
        return replace(outcome, fell=outcome.fell | ~good)
