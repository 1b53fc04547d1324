"""The ports of a control loop with somebody who takes down what passes through them.

Each gives on what it was given, exceptions included. Outside of a tick and of arming nothing is
taken down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.robot_state import JointCommand, RobotState
from rwmu_deploy.runtime.flight_record import Failure, Section, TickRecord
from rwmu_deploy.runtime.robot_link import Guard, Policy, RobotLink
from rwmu_deploy.runtime.safety_monitor import Verdict
from rwmu_deploy.runtime.uncertainty_monitor import MonitorReading

CurrentSection = Callable[[], Section | None]
"""The section in progress; None outside of all."""


class WatchedLink:
    """A link whose measurements and failures are taken down.

    Args:
        link: The link.
        current: The section in progress.
        sending: The section that sends; None within a stop, whose sends are its own.
    """

    def __init__(self, link: RobotLink, current: CurrentSection, sending: CurrentSection) -> None:
        self._link = link
        self._current = current
        self._sending = sending

    def latest_state(self) -> RobotState | None:
        """The link's."""
        section = self._current()
        try:
            sample = self._link.latest_state()
        except Exception as error:
            if section is not None:
                section.failures["link"] = Failure.of(error)
            raise
        if section is not None:
            section.sample = sample
        return sample

    def send(self, command: JointCommand) -> None:
        """Hand it to the link."""
        section = self._sending()
        number = 0
        if isinstance(section, TickRecord):
            number = section.sends
            section.sends += 1
        try:
            self._link.send(command)
        except Exception as error:
            if section is not None:
                section.failures[f"send {number}"] = Failure.of(error)
            raise


class WatchedPolicy:
    """A policy whose questions and answers are taken down."""

    def __init__(self, policy: Policy, current: CurrentSection) -> None:
        self._policy = policy
        self._current = current

    def action(self, observation: NDArray[np.float32]) -> NDArray[np.float64]:
        """The policy's."""
        section = self._current()
        if isinstance(section, TickRecord):
            section.observation = observation
        try:
            answer = self._policy.action(observation)
        except Exception as error:
            if section is not None:
                section.failures["policy"] = Failure.of(error)
            raise
        if isinstance(section, TickRecord):
            # A policy may use its array again.
            section.answer = answer.copy() if isinstance(answer, np.ndarray) else answer
        return answer


class WatchedGuard:
    """A guard whose answers are taken down."""

    def __init__(self, guard: Guard, current: CurrentSection) -> None:
        self._guard = guard
        self._current = current

    @property
    def reading(self) -> MonitorReading | None:
        """The guard's; it is in the tick's report."""
        return self._guard.reading

    @property
    def command_factor(self) -> float:
        """The guard's."""
        factor = self._guard.command_factor
        section = self._current()
        if isinstance(section, TickRecord):
            section.guard_factor = factor
        return factor

    def verdicts(self, now_s: float) -> list[Verdict]:
        """The guard's."""
        section = self._current()
        try:
            verdicts = self._guard.verdicts(now_s)
        except Exception as error:
            if section is not None:
                section.failures["guard"] = Failure.of(error)
            raise
        if isinstance(section, TickRecord):
            section.guard_verdicts = tuple(verdicts)
        return verdicts

    def step(
        self,
        now_s: float,
        state: NDArray[np.floating],
        action: NDArray[np.floating],
        *,
        fresh: bool,
    ) -> str | None:
        """Let the guard follow."""
        section = self._current()
        try:
            fault = self._guard.step(now_s, state, action, fresh=fresh)
        except Exception as error:
            if section is not None:
                section.failures["guard step"] = Failure.of(error)
            raise
        if isinstance(section, TickRecord):
            section.guard_fault = fault
        return fault

    def gap(self) -> None:
        """Tell the guard."""
        self._guard.gap()

    def reset(self) -> None:
        """Tell the guard."""
        self._guard.reset()


def watched_conditions(
    conditions: Callable[[], Sequence[Verdict]], current: CurrentSection
) -> Callable[[], Sequence[Verdict]]:
    """Conditions whose answers are taken down."""

    def watched() -> Sequence[Verdict]:
        section = current()
        try:
            verdicts = conditions()
        except Exception as error:
            if section is not None:
                section.failures["conditions"] = Failure.of(error)
            raise
        if isinstance(section, TickRecord):
            section.conditions = tuple(verdicts)
        return verdicts

    return watched
