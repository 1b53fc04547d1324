"""Data sets by name: which of a training run's policies walk, and how far they stray.

`random`, `medium`, `expert` and `mixed` are those of RWM-U (arXiv:2504.16680, Fig. 5); `sweep`
adds competent policies under noise up to where they fall. `random` is the behaviour of that name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rwmu_deploy.contract.named_choice import find_by_name

T = TypeVar("T")


@dataclass(frozen=True)
class NamedSet:
    """A part of a run's stages, from the share `begin` of the run to the share `end`."""

    begin: float
    end: float
    action_noise: tuple[float, ...]
    """Standard deviations of white noise on the actions; robots take them in turn."""

    @property
    def needs_policies(self) -> bool:
        """Whether trained policies walk; if not, robots only shake about their default pose."""
        return self.end > 0.0

    def choose(self, stages: Sequence[T]) -> list[T]:
        """The stages that take part, at least one; `stages` in order of training."""
        first = min(math.floor(self.begin * len(stages)), len(stages) - 1)
        return list(stages[first : max(first + 1, math.ceil(self.end * len(stages)))])


NAMED_SETS: Mapping[str, NamedSet] = {
    "random": NamedSet(0.0, 0.0, (1.0,)),
    "medium": NamedSet(0.3, 0.6, (0.0, 0.1, 0.2)),
    "expert": NamedSet(0.9, 1.0, (0.0, 0.1)),
    "mixed": NamedSet(0.0, 1.0, (0.0, 0.1, 0.3, 0.6, 1.0)),
    "sweep": NamedSet(0.7, 1.0, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
}


def find_named_set(name: str) -> NamedSet:
    """A set by name.

    Raises:
        ConfigError: There is no such set.
    """
    return find_by_name(NAMED_SETS, name, "data set")
