"""What the policy node asks of a link beside reading and commanding; `TopicLink` is one.

A robot that speaks messages of its own brings a link and a `main` that hands it to the same node,
in a ROS package of its own. No parameter names code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from rclpy.node import Node

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import FloatArray, JointCommand
from rwmu_deploy.runtime.arming import ArmingCheck
from rwmu_deploy.runtime.robot_link import RobotLink
from rwmu_deploy.runtime.safety_monitor import Verdict
from rwmu_ros.newest_message import NewestMessage
from rwmu_ros.node_parameters import PolicyNodeParameters


class NodeLink(RobotLink, Protocol):
    """A RobotLink that a node owns. As it stands here, the robot says nothing of itself."""

    command_topic: str
    """Where commands go."""
    mismatches: list[str]
    """Listeners that can't hear them, each in words."""

    @property
    def sources(self) -> tuple[NewestMessage[Any, Any], ...]:
        """The sensor topics, for reports and ages."""
        ...

    def complaints(self) -> list[str]:
        """What keeps each topic from being used, in words."""
        ...

    def has_other_commanders(self) -> bool:
        """Whether somebody else commands the robot; it waits for nobody."""
        ...

    def other_commanders(self) -> list[str]:
        """Who."""
        ...

    def forget(self) -> None:
        """Drop all measurements and fall silent: a run is over."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...

    def verdicts(self, now_s: float) -> list[Verdict]:
        """Why the armed robot itself should not go on; asked once a tick."""
        del now_s
        return []

    def arming_checks(self, now_s: float) -> list[ArmingCheck]:
        """What the robot itself has against being armed."""
        del now_s
        return []

    def velocity_command(self, now_s: float) -> FloatArray | None:
        """What the robot's own remote asks for, shape (3,) [m/s, m/s, rad/s]; None: nothing."""
        del now_s
        return None

    def may_walk(self, now_s: float) -> bool:
        """Whether a velocity other than 0 may be asked for now."""
        del now_s
        return True

    def asks_to_start(self, now_s: float) -> bool:
        """Whether somebody just asked for arming on the robot itself; asked once, it is used."""
        del now_s
        return False

    def numbers(self) -> dict[str, Any]:
        """What the robot says of itself, for /diagnostics."""
        return {}


def refuse_late(command: JointCommand, late_s: float, spec: RobotSpec) -> None:
    """Refuse a position that its measurements are too old for; damping is never late.

    Args:
        command: What is to be sent now.
        late_s: Time since the measurements that it was made from were taken.
        spec: The robot.

    Raises:
        RobotLinkError: It is too late, as when the process was frozen in between.
    """
    if not (command.is_damping or late_s <= spec.safety.sensor_age_damp_s):
        raise RobotLinkError(
            f"a position came {late_s:.3f} s after its measurements; allowed is "
            f"{spec.safety.sensor_age_damp_s:g} s",
            fix="Find what held the process up.",
        )


@dataclass(frozen=True)
class LinkKind:
    """How a node gets its link."""

    open: Callable[[Node, RobotSpec, CommandRange, PolicyNodeParameters], NodeLink]
    """Raises a `RwmuError` where the robot can't be spoken to so."""
    declare: Callable[[Node], None] = lambda node: None
    """Declares parameters of its own."""
