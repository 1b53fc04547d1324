"""Configure and activate without being asked, again and again until it works or time is up."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from rclpy.lifecycle import TransitionCallbackReturn

from rwmu_deploy.runtime.arming import HEALTHY_S
from rwmu_ros.steady_timer import steady_timer

if TYPE_CHECKING:
    from rwmu_ros.policy_node import PolicyNode

PERIOD_S = 0.2
_SUCCESS = TransitionCallbackReturn.SUCCESS
_log = logging.getLogger(__name__)


class Autostart:
    """Takes the next step of a policy node whenever its timer comes."""

    def __init__(self, node: PolicyNode) -> None:
        self._node = node
        self._began_s = time.monotonic()
        self._timer = steady_timer(node, PERIOD_S, self._step)

    def _step(self) -> None:
        node = self._node
        if node.is_active or node.exit_code is not None:
            self._timer.cancel()
        elif not node.is_configured:
            if node.trigger_configure() != _SUCCESS:
                node.exit_code = 1
            self._began_s = time.monotonic()
        elif node.healthy_s >= HEALTHY_S and node.trigger_activate() == _SUCCESS:
            self._timer.cancel()
        elif time.monotonic() - self._began_s > node.autostart_timeout_s:
            self._give_up()

    def _give_up(self) -> None:
        # Once more, so that every check has its say.
        if self._node.trigger_activate() != _SUCCESS:
            _log.error(
                "autostart gave up after %s s: %s",
                self._node.autostart_timeout_s,
                self._node.refusal,
            )
            self._node.exit_code = 1
