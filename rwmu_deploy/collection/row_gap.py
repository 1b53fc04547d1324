"""Ticks that left no row: how many, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

GapCause = Literal[
    "not_armed",
    "stand_up",
    "hold",
    "damp",
    "stopped",
    "after_damping",
    "stale_measurement",
    "no_measurement",
    "first_tick",
    "off_grid",
    "queue_full",
    "disk_low",
    "disk_refused",
    "journal_damaged",
]
"""Why a tick left no row.

- `not_armed`, `stand_up`: the policy was not in charge yet, or no more.
- `hold`, `damp`, `stopped`: the safety state.
- `after_damping`: no action produced this state.
- `stale_measurement`, `no_measurement`: the robot sent nothing new, or nothing at all yet.
- `first_tick`: the log saw no tick before, so it doesn't know the action.
- `off_grid`: not one control period after the tick before, as after a skipped tick.
- `queue_full`, `disk_low`, `disk_refused`: there was a row, but the disk was too slow, had less
  room than the floor, or refused it.
- `journal_damaged`: there was a row, but its line in the journal was torn or altered.
"""
MOST_REASONS = 8
LONGEST_REASON = 200
"""Characters; a reason may hold the text of any exception."""


@dataclass(frozen=True)
class MissingRow:
    """Ticks in a row that left none, for one cause."""

    cause: GapCause
    reasons: tuple[str, ...] = ()
    """What the safety monitor gave as reasons."""
    skipped_periods: int = 0
    """Points of the control grid before it that had no tick at all."""
    ticks: int = 1


@dataclass(frozen=True)
class CauseCount:
    """How often a cause occurred in a gap."""

    ticks: int
    reasons: tuple[str, ...] = ()
    """The first of each fault, with its values then; at most 8."""


@dataclass(frozen=True)
class RowGap:
    """All ticks between two rows."""

    causes: Mapping[GapCause, CauseCount] = field(default_factory=dict)
    """In the order in which they came."""
    skipped_periods: int = 0
    """Points of the control grid within it that had no tick at all."""

    @property
    def ticks(self) -> int:
        """Ticks in it."""
        return sum(count.ticks for count in self.causes.values())

    @property
    def breaks_episode(self) -> bool:
        """Whether an episode before it broke off; the end of the loop only ends it."""
        return any(cause != "stopped" for cause in self.causes)

    def plus(self, missing: MissingRow) -> RowGap:
        """This gap, longer by some ticks."""
        count = CauseCount(missing.ticks, missing.reasons)
        return self.merged(RowGap({missing.cause: count}, missing.skipped_periods))

    def merged(self, later: RowGap) -> RowGap:
        """This gap and one that follows it."""
        causes = dict(self.causes)
        for cause, count in later.causes.items():
            before = causes.get(cause, CauseCount(0))
            causes[cause] = CauseCount(
                before.ticks + count.ticks, _first_of_each(before.reasons, count.reasons)
            )
        return RowGap(causes, self.skipped_periods + later.skipped_periods)

    def to_dict(self) -> dict[str, Any]:
        """As journal and meta.json have it."""
        return {
            "ticks": self.ticks,
            "skipped_periods": self.skipped_periods,
            "causes": [
                {"cause": cause, "ticks": count.ticks, "reasons": list(count.reasons)}
                for cause, count in self.causes.items()
            ],
        }

    @classmethod
    def from_dict(cls, document: Any) -> RowGap:
        """Read what `to_dict` gave.

        Raises:
            ValueError: It is something else.
        """
        try:
            causes = {
                entry["cause"]: CauseCount(entry["ticks"], tuple(map(str, entry["reasons"])))
                for entry in document["causes"]
            }
            gap = cls(causes, document["skipped_periods"])
            counts = [gap.skipped_periods, *(count.ticks for count in causes.values())]
            is_gap = (
                all(isinstance(count, int) and count >= 0 for count in counts)
                and set(causes) <= set(get_args(GapCause))
                and document["ticks"] == gap.ticks
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a gap: {error}") from None
        if not is_gap:
            raise ValueError("not a gap: unknown causes, or counts that don't add up")
        return gap


def _first_of_each(before: tuple[str, ...], later: tuple[str, ...]) -> tuple[str, ...]:
    """Reasons of different faults; their values change from tick to tick."""
    known = {reason.partition(":")[0] for reason in before}
    new = [text[:LONGEST_REASON] for text in later if text.partition(":")[0] not in known]
    return (*before, *new)[:MOST_REASONS]
