"""Where somebody can look on while a loop decides: all that it decides from passes here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from rwmu_deploy.runtime.loop_memory import LoopMemory
from rwmu_deploy.runtime.robot_link import Guard, Policy, RobotLink
from rwmu_deploy.runtime.safety_monitor import SafetyDecision, SafetyMonitor, Verdict
from rwmu_deploy.runtime.tick_report import TickReport
from rwmu_deploy.runtime.velocity_command import VelocityMemory


class LoopWitness:
    """Sees everything, and changes nothing. This one looks away; others override what they need.

    A tick and arming are sections: one at a time, each from its beginning to its end. Whatever a
    stop from another thread does to a section, it does through `look`.
    """

    def begins(self, memory: LoopMemory) -> None:
        """The loop was made."""

    def watch_link(self, link: RobotLink) -> RobotLink:
        """The link that the loop shall use in place of this one."""
        return link

    def watch_policy(self, policy: Policy) -> Policy:
        """The policy that the loop shall ask in place of this one."""
        return policy

    def watch_guard(self, guard: Guard) -> Guard:
        """The guard that the loop shall ask in place of this one."""
        return guard

    def watch_conditions(
        self, conditions: Callable[[], Sequence[Verdict]]
    ) -> Callable[[], Sequence[Verdict]]:
        """The conditions that the loop shall ask in place of these."""
        return conditions

    def tick_begins(self, now_s: float, skipped: int, velocity: VelocityMemory) -> None:
        """A tick begins, and will follow this velocity command."""

    def tick_ends(self, report: TickReport, memory: Callable[[], LoopMemory]) -> None:
        """A tick has ended; `memory` tells what the loop knows after it."""

    def arming(self, now_s: float) -> contextlib.AbstractContextManager[None]:
        """Around arming, which raises if it is refused."""
        return contextlib.nullcontext()

    def disarmed(self, reason: str) -> None:
        """The loop was disarmed."""

    def stopping(self, reason: str, *, first: bool) -> contextlib.AbstractContextManager[None]:
        """Around a stop from outside, from any thread; `first`: it finds the loop not stopped."""
        return contextlib.nullcontext()

    def look(self, monitor: SafetyMonitor) -> SafetyDecision:
        """What a section finds to hold, each time that it looks."""
        return monitor.decision

    def counted(self, fault: str) -> None:
        """A fault was counted, from any thread."""
