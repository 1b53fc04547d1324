"""The e-stop of a policy node: pressed by topic, service or signal, from any thread.

Whoever presses sends the first damping command himself. Topic and service have a node, an executor
and a thread of their own, so that nothing that the policy node does can delay them.
"""

from __future__ import annotations

import logging
import threading
from typing import Protocol

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import Empty
from std_srvs.srv import Trigger

from rwmu_ros import quality_of_service

_JOIN_TIMEOUT_S = 1.0
_log = logging.getLogger(__name__)


class Stoppable(Protocol):
    """What an e-stop stops."""

    def stop(self, reason: str) -> None:
        """Damp at once and for good."""
        ...

    def halt(self, reason: str) -> None:
        """The same, because the process is about to end."""
        ...


class EmergencyStop:
    """A latch that stops whatever has been put under it, at any moment of its life."""

    def __init__(self) -> None:
        self.reason: str | None = None
        """Who pressed; None while nobody has."""
        self.ending: str | None = None
        """Why the process is about to end; None while it is not."""
        self._target: Stoppable | None = None

    def guard(self, target: Stoppable | None) -> None:
        """Stop `target` from now on. Read `reason` and `ending` after this, not before.

        Then a press is either seen by the caller, or finds the target.
        """
        self._target = target

    def press(self, source: str) -> None:
        """Stop at once; stays until `release`."""
        self.reason = self.reason or f"e-stop by {source}"
        target = self._target
        if target is not None:
            target.stop(self.reason)
        _log.error("%s", self.reason)

    def end(self, reason: str) -> None:
        """Stop at once because the process ends."""
        self.ending = self.ending or reason
        target = self._target
        if target is not None:
            target.halt(reason)

    def release(self) -> None:
        """Allow arming again."""
        self.reason = None


class EmergencyStopTopics:
    """`~/estop` of a node, as topic and as service, in a thread of its own.

    The topic is heard from best-effort and from reliable publishers: there are two subscriptions,
    and who is heard twice has pressed once.

    Args:
        owner: The node whose name the topic has.
        latch: What is pressed.
    """

    def __init__(self, owner: Node, latch: EmergencyStop) -> None:
        self._latch = latch
        name = owner.resolve_topic_name("~/estop")
        # Without global arguments: `__node:=` of the process would rename this node too, and the
        # topic's name is resolved and remapped already.
        self._node = Node(
            f"{owner.get_name()}_estop",
            namespace=owner.get_namespace(),
            context=owner.context,
            use_global_arguments=False,
            start_parameter_services=False,
            enable_rosout=False,
        )
        for profile in (quality_of_service.COMMAND, quality_of_service.SENSOR):
            self._subscribe(name, profile)
        self._node.create_service(Trigger, owner.resolve_service_name("~/estop"), self._on_request)
        self._executor = SingleThreadedExecutor(context=owner.context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="estop", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and give everything back."""
        self._executor.shutdown()
        self._thread.join(_JOIN_TIMEOUT_S)
        self._node.destroy_node()

    def _subscribe(self, name: str, profile: QoSProfile) -> None:
        self._node.create_subscription(Empty, name, self._on_message, profile)

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass
        except Exception:  # noqa: BLE001  without an e-stop nothing may move
            _log.exception("the e-stop's thread failed")
            self._latch.press("its own failure")

    def _on_message(self, message: Empty) -> None:
        del message
        self._latch.press("topic")

    def _on_request(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        del request
        self._latch.press("service")
        response.success = True
        response.message = "damping until this node is deactivated, cleaned up and configured"
        return response
