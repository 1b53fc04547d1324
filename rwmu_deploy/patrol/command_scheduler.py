"""Velocity commands that fill their range evenly, whatever the fence refuses.

A world model needs every command about equally often. Plain random draws don't do that inside a
fence: what leads out is refused, so fast and straight is rare. This one counts the time that every
part of the range was really followed, and proposes what was followed least.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import ConfigError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class SchedulePlan:
    """How commands are drawn.

    Raises:
        ConfigError: A number is out of range.
    """

    bins: tuple[int, int, int] = (5, 3, 5)
    """Parts of the ranges of vx, vy and wz."""
    hold_s: tuple[float, float] = (1.0, 5.0)
    """Shortest and longest time of a command. Policies fall at changes: they have to be many."""
    standing_share: float = 0.05
    """Share of the proposals that is to stand."""

    def __post_init__(self) -> None:
        shortest_s, longest_s = self.hold_s
        checks = {
            "bins": min(self.bins) >= 1 and max(self.bins) <= 100,
            "hold_s": 0.1 <= shortest_s <= longest_s <= 600.0,
            "standing_share": 0.0 <= self.standing_share <= 1.0,
        }
        for name, is_allowed in checks.items():
            if not is_allowed:
                raise ConfigError(
                    f"schedule {name} is {getattr(self, name)}, which is not allowed",
                    fix=f"See SchedulePlan; the default is {getattr(SchedulePlan, name)}.",
                )


class CommandScheduler:
    """Proposes commands for one robot, and counts what it followed.

    Args:
        command_range: What may be asked.
        plan: How.
        seed: Of all draws.
    """

    def __init__(self, command_range: CommandRange, plan: SchedulePlan, seed: int) -> None:
        self._range = command_range
        self._plan = plan
        self._rng = np.random.default_rng(seed)
        self._edges = [
            np.linspace(low, high, count + 1)
            for low, high, count in zip(
                command_range.lower, command_range.upper, plan.bins, strict=True
            )
        ]
        self.followed_s: FloatArray = np.zeros(plan.bins)
        """Time for which each part of the range was followed."""

    def hold_s(self) -> float:
        """How long the next command is to last."""
        return float(self._rng.uniform(*self._plan.hold_s))

    def proposals(self, count: int) -> FloatArray:
        """Candidates, the most wanted first, shape (count, 3).

        The bins that were followed least come first, in random order where they are equal, with a
        random command of each. With the plan's share the first candidate is to stand.
        """
        order = np.lexsort((self._rng.random(self.followed_s.size), self.followed_s.ravel()))
        chosen = np.resize(order, count)
        places = np.unravel_index(chosen, self.followed_s.shape)
        commands = np.empty((count, 3))
        for axis, (edges, place) in enumerate(zip(self._edges, places, strict=True)):
            commands[:, axis] = self._rng.uniform(edges[place], edges[place + 1])
        if self._rng.random() < self._plan.standing_share:
            commands[0] = np.clip(np.zeros(3), self._range.lower, self._range.upper)
        return commands

    def note(self, command: FloatArray, seconds: float) -> None:
        """A command was followed for a time."""
        place = tuple(
            int(np.clip(np.searchsorted(edges, value, side="right") - 1, 0, len(edges) - 2))
            for edges, value in zip(self._edges, command, strict=True)
        )
        self.followed_s[place] += seconds

    def coverage(self) -> float:
        """Entropy of the time in each bin over the largest there can be: 1 is even, 0 is one bin.

        It is 0 before anything was followed.
        """
        total_s = float(self.followed_s.sum())
        if not total_s > 0.0 or self.followed_s.size == 1:
            return 0.0
        share = self.followed_s[self.followed_s > 0.0] / total_s
        return float(-(share * np.log(share)).sum() / math.log(self.followed_s.size))
