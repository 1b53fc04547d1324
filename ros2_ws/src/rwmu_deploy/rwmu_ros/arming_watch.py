"""Watch the sensors from configure on, so that activation can tell how long they were healthy."""

from __future__ import annotations

import time

from rclpy.node import Node

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.runtime.arming import HealthWatch
from rwmu_ros.node_link import NodeLink
from rwmu_ros.steady_timer import steady_timer

_FORGET_S = 0.5


class ArmingWatch:
    """Looks at the robot once a control period while nothing else does.

    A robot whose clock was set back publishes stamps that are all too old. After 0.5 s without a
    usable message they are taken as a new start; a running policy never does so.

    Args:
        node: Its executor turns the timer.
        spec: The robot.
        link: The way to the robot.
    """

    def __init__(self, node: Node, spec: RobotSpec, link: NodeLink) -> None:
        self._node = node
        self._spec = spec
        self._link = link
        self._health = HealthWatch(spec)
        self._timer = steady_timer(node, spec.control_dt_s, self._look)

    def resume(self) -> None:
        """Begin anew, at 0 s."""
        self._health = HealthWatch(self._spec)
        self._timer.reset()

    def pause(self) -> None:
        """Leave the sensors to the control loop."""
        self._timer.cancel()

    def close(self) -> None:
        """Give the timer back."""
        self._node.destroy_timer(self._timer)

    def healthy_s(self) -> float:
        """Time since the latest interruption [s]."""
        return self._health.healthy_s(time.monotonic())

    @property
    def interruption(self) -> str:
        """Why it is not longer, with what the topics have to say."""
        return "; ".join([self._health.interruption, *self._link.complaints()])

    def _look(self) -> None:
        now_s = time.monotonic()
        sample = self._link.latest_state()
        self._health.look(sample, now_s)
        for source in self._link.sources:
            age_s = source.age_s(now_s)
            if age_s is not None and age_s > _FORGET_S:
                source.forget()
