"""Whoever can show a policy what to do: another policy, or a gait with a memory of its own.

N = robots, O = observation size, A = action size, F = feet.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Demonstrator(Protocol):
    """Somebody who knows what to do, on N robots."""

    def begin(self, index: Tensor, command: Tensor) -> None:
        """Robots (k,) are put down, with commands (k, 3)."""
        ...

    def act(self, observation: Tensor, touching: Tensor) -> Tensor:
        """Actions (N, A) of observations (N, O) and of which feet touch the ground (N, F)."""
        ...


class Teaches(Protocol):
    """Where demonstrators come from."""

    @property
    def sha256(self) -> str:
        """Of what it is."""
        ...

    def for_robots(self, count: int) -> Demonstrator:
        """One on so many robots."""
        ...
