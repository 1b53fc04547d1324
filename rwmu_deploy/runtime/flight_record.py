"""What one tick was decided from, and what came of it: references only, nothing is formatted here.

Of everything that can reach a control loop from outside there is exactly what its next decision
depends on, so that the decision can be made again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import RobotState
from rwmu_deploy.runtime.loop_memory import LoopMemory
from rwmu_deploy.runtime.safety_monitor import Verdict
from rwmu_deploy.runtime.tick_report import TickReport
from rwmu_deploy.runtime.velocity_command import VelocityMemory


@dataclass(frozen=True)
class Failure:
    """An exception that came out of a link, a policy or a guard."""

    kind: str
    """Name of its class."""
    message: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Of an exception."""
        return cls(type(error).__name__, str(error))

    def again(self) -> Exception:
        """An exception that reads the same."""
        return type(self.kind, (Exception,), {})(self.message)


@dataclass(slots=True)
class Section:
    """What a tick and arming have in common."""

    now_s: float
    sample: RobotState | None = None
    """What the link gave, before the gate."""
    failures: dict[str, Failure] = field(default_factory=dict)
    """Who raised, and what: "link", "policy", "guard", "conditions", "send 0", "send 1"."""
    looks: int = 0
    """How often the section looked at the state."""
    stop_look: int | None = None
    """The look that first found a stop from outside; None where none did."""
    stop_reason: str = ""
    faults: list[str] = field(default_factory=list)
    """What was counted up to its end, since the end of the section before."""


@dataclass(slots=True)
class ArmRecord(Section):
    """An attempt to arm."""

    refused: str | None = None
    """Why it was refused; None where it was not."""


@dataclass(frozen=True, slots=True)
class DisarmRecord:
    """The loop was disarmed."""

    reason: str


@dataclass(slots=True)
class TickRecord(Section):
    """A tick."""

    skipped: int = 0
    velocity: VelocityMemory | None = None
    """The latest velocity command when the tick began; always there."""
    calls: Sequence[ArmRecord | DisarmRecord] = ()
    """Between the tick before and this one."""
    observation: NDArray[np.float32] | None = None
    """What the policy was asked; None where it was not."""
    answer: object = None
    """What the policy answered, usable or not."""
    guard_verdicts: Sequence[Verdict] = ()
    guard_factor: float | None = None
    """On the velocity command; None where the guard was not asked."""
    guard_fault: str | None = None
    """What the guard found after the command was sent."""
    conditions: Sequence[Verdict] = ()
    """Other reasons not to run, from outside."""
    sends: int = 0
    report: TickReport | None = None
    """None only in a tick that never ended."""
    memory: LoopMemory | None = None
    """What the loop knew after it; in some ticks only."""


@dataclass(frozen=True)
class Trigger:
    """Why a flight is kept."""

    tick_index: int
    """The tick that it was found in, or that would have come next."""
    why: str


@dataclass(frozen=True)
class FlightFacts:
    """What never changes while a loop runs."""

    spec: RobotSpec
    command_range: CommandRange
    stand_up_s: float
    observation_range: TrainingRange | None = None
    monitor: str = "off"
    """What the bundle's world model does: `off`, `warn` or `act`."""
    bundle: str = ""
    """Name of the policy's bundle; empty where the policy is none."""
    bundle_sha256: str | None = None
    source: str = ""
    """Which robot it was, in words."""


@dataclass(frozen=True, eq=False)
class Flight:
    """Ticks in a row, with what the loop knew before the first."""

    facts: FlightFacts
    start: LoopMemory
    ticks: Sequence[TickRecord]
    triggers: Sequence[Trigger]
    unfinished: str = ""
    """What a tick was doing that never ended; empty where there is none."""
    written: Mapping[str, str] = field(default_factory=dict)
    """Time and versions of the program that wrote it; empty before."""
