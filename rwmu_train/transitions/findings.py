"""What a check of a data set has to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Findings:
    """Problems make the data unusable; notes do not."""

    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def listed(labels: Sequence[str], most: int = 6) -> str:
    """The first labels, and how many more there are."""
    more = len(labels) - most
    return ", ".join(labels[:most]) + (f" and {more} more" if more > 0 else "")
