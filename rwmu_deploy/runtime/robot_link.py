"""The ports of the control loop: a robot on one side, a policy on the other, a guard beside it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.robot_state import JointCommand, RobotState
from rwmu_deploy.runtime.safety_monitor import Verdict
from rwmu_deploy.runtime.uncertainty_monitor import MonitorReading


class RobotLink(Protocol):
    """A robot, real or simulated. Both calls return at once.

    `send` may be called from the loop's thread and, by an emergency stop, from another one; the
    loop never lets two calls overlap.
    """

    def latest_state(self) -> RobotState | None:
        """The newest measurements, None before the first.

        Arrays are never changed after they were handed out.
        """
        ...

    def send(self, command: JointCommand) -> None:
        """Hand a command to the joint controllers.

        Raises:
            RobotLinkError: The robot can't be reached.
        """
        ...


class Policy(Protocol):
    """What turns an observation into an action; a loaded bundle is one."""

    def action(self, observation: NDArray[np.float32]) -> NDArray[np.float64]:
        """The action for an observation, shapes (O,) and (A,)."""
        ...


class Guard(Protocol):
    """What watches whether the robot leaves its data; `DataGuard` is one, and says more."""

    @property
    def command_factor(self) -> float:
        """What the velocity command is multiplied by."""
        ...

    @property
    def reading(self) -> MonitorReading | None:
        """Of this tick; None where nothing was followed."""
        ...

    def verdicts(self, now_s: float) -> list[Verdict]:
        """Why the robot should damp now; empty while it may go on."""
        ...

    def step(
        self,
        now_s: float,
        state: NDArray[np.floating],
        action: NDArray[np.floating],
        *,
        fresh: bool,
    ) -> str | None:
        """Follow one tick; returns what is to be counted."""
        ...

    def gap(self) -> None:
        """Nothing can be followed in this tick."""
        ...

    def reset(self) -> None:
        """Before a start."""
        ...
