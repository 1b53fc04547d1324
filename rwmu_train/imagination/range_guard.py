"""Imagined robots that the world model has lost: their episodes end, and they are counted.

The world model holds every predicted entry within the range of its data. A forecast that runs away
therefore does not grow without end, it sits at the edges of that range. Joint torque does not
count: motors reach their limits in the data too, and a robot that walks well touches the edge of a
torque in one imagined step of a hundred. N = robots, S = state size.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.environment.chosen_robots import ChosenRobots
from rwmu_train.environment.dynamics import Dynamics, DynamicsOutcome

LOST_ENTRIES = 2
"""Entries besides torques that sit at an edge in a robot that is lost.

Measured over 51,200 steps each. In the shipped world model: none, under three trained policies and
under random weights; one in 20,000 of actions drawn with a standard deviation of 3. In models of
150 and 500 gradient steps 0.1 % at most in an iteration, of 2 and 30 gradient steps 1.3 to 2 %."""
EDGE = 1.0e-5
"""Share of the range that counts as its edge: means of members round."""


class RangeGuard:
    """Dynamics whose `fell` is also true of robots that are lost or not finite.

    Args:
        inner: Imagined robots.
        columns: What the entries of a state are.
        lowest: Range that predicted states are held in, in units of the data, shape (S,).
        highest: Its other end.
    """

    def __init__(
        self, inner: Dynamics, columns: TransitionColumns, lowest: Tensor, highest: Tensor
    ) -> None:
        self._inner = inner
        self.count, self.device = inner.count, inner.device
        counts = highest > lowest  # an entry that never changes is always at its edge
        counts[columns.joint_torque_nm.slice] = False
        margin = EDGE * (highest - lowest)
        self._lowest = torch.where(counts, lowest + margin, -torch.inf)
        self._highest = torch.where(counts, highest - margin, torch.inf)
        self._lost, self._steps = (
            torch.zeros((), dtype=torch.long, device=inner.device) for _ in range(2)
        )

    def reset(self, who: ChosenRobots) -> tuple[Tensor, Tensor]:
        """As the inner dynamics."""
        return self._inner.reset(who)

    def push(self, who: ChosenRobots, velocity_mps: Tensor) -> Tensor:
        """As the inner dynamics."""
        return self._inner.push(who, velocity_mps)

    def step(self, action: Tensor) -> DynamicsOutcome:
        """As the inner dynamics, with more falls; numbers that are not finite become 0."""
        outcome = self._inner.step(action)
        state = outcome.state
        inside = (state > self._lowest) & (state < self._highest)
        finite = torch.isfinite(state).all(1) & torch.isfinite(outcome.uncertainty)
        finite = finite & torch.isfinite(outcome.extension).all(1)
        lost = ~finite | ((~inside).sum(1) >= LOST_ENTRIES)
        self._lost += lost.sum()
        self._steps += len(lost)
        return replace(
            outcome,
            state=state.masked_fill(~finite[:, None], 0.0),
            uncertainty=outcome.uncertainty.masked_fill(~finite, 0.0),
            extension=outcome.extension.masked_fill(~finite[:, None], 0.0),
            fell=outcome.fell | lost,
        )

    def take_share(self) -> float:
        """Share of the steps since the last call in which a robot was lost."""
        share = int(self._lost) / max(1, int(self._steps))
        self._lost.zero_()
        self._steps.zero_()
        return share
