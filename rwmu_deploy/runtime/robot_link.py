"""The ports of the control loop: a robot on one side, a policy on the other."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.robot_state import JointCommand, RobotState


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
