"""Hears what policy nodes in several namespaces command, and when, in a thread of its own."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rwmu_ros import quality_of_service
from rwmu_ros.realtime_priority import raise_priority
from std_msgs.msg import Empty, Float64MultiArray, String
from std_srvs.srv import Trigger

CONFIGURE = Transition.TRANSITION_CONFIGURE
ACTIVATE = Transition.TRANSITION_ACTIVATE
DEACTIVATE = Transition.TRANSITION_DEACTIVATE
CLEANUP = Transition.TRANSITION_CLEANUP
STALL_S = 0.01
LATE = ("sensor_age", "late_", "watchdog")
"""How reasons begin that say no more than that something was kept waiting."""
_ANSWER_S = 3.0
_WATCHED = 4
"""Processors at most: where there are more, nobody has to wait for one of them."""
_EVERY_COMMAND = QoSProfile(depth=200, reliability=ReliabilityPolicy.RELIABLE)


class Heard(NamedTuple):
    """A joint command; times in monotonic s of this machine."""

    at_s: float
    """Receipt."""
    damps: bool
    sent_s: float
    """When its node gave it to the middleware."""


class PolicyListener:
    """Listens, presses and changes states; its node spins in a thread.

    Args:
        context: In the domain of the policy nodes.
        namespaces: Where they are.
    """

    def __init__(self, context: Context, namespaces: list[str]) -> None:
        self.commands: dict[str, list[Heard]] = defaultdict(list)
        """Every joint command of each node, in the order of receipt."""
        self.states: dict[str, dict[str, Any]] = {}
        """The latest state of each node."""
        self.numbers: dict[str, dict[str, str]] = {}
        """The latest diagnostics of each node."""
        self.stalls: list[tuple[float, float]] = []
        """When a thread that only sleeps did not get a processor: from, to [monotonic s].

        One for each processor: a shared machine may take one away and leave the others.
        """
        self._node = node = Node("policy_listener", context=context)
        self._buttons, self._services, self._transitions = {}, {}, {}
        for space in namespaces:
            node.create_subscription(
                Float64MultiArray,
                f"/{space}/joint_command",
                partial(self._on_command, space),
                _EVERY_COMMAND,
            )
            node.create_subscription(
                String,
                f"/{space}/policy_node/state",
                partial(self._on_state, space),
                quality_of_service.STATE,
            )
            name = f"/{space}/policy_node"
            self._buttons[space] = node.create_publisher(
                Empty, f"{name}/estop", quality_of_service.COMMAND
            )
            self._services[space] = node.create_client(Trigger, f"{name}/estop")
            self._transitions[space] = node.create_client(ChangeState, f"{name}/change_state")
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(node)
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._executor.spin, daemon=True),
            *(
                threading.Thread(target=self._watch_processor, args=(number,), daemon=True)
                for number in sorted(os.sched_getaffinity(0))[:_WATCHED]
            ),
        ]
        for thread in self._threads:
            thread.start()
        # Of the threads that came with the node too.
        raise_priority(20)

    def hear(self, kind: type, topic: str, callback: Callable[[Any], None]) -> None:
        """Listen to another topic too."""
        self._node.create_subscription(kind, topic, callback, quality_of_service.SENSOR)
        self._executor.wake()

    def press_topic(self, space: str) -> None:
        self._buttons[space].publish(Empty())

    def press_service(self, space: str) -> None:
        self._services[space].call_async(Trigger.Request())

    def is_connected(self, space: str) -> bool:
        """Whether presses and transitions would be heard."""
        return (
            self._buttons[space].get_subscription_count() == 2
            and self._services[space].service_is_ready()
            and self._transitions[space].service_is_ready()
        )

    def change_state(self, space: str, transition: int) -> Any:
        """Ask for a transition; the future tells whether it was made."""
        request = ChangeState.Request(transition=Transition(id=transition))
        return self._transitions[space].call_async(request)

    def transit(self, spaces: list[str], transition: int) -> None:
        """Ask all nodes for a transition, and again until each has made it.

        The middleware loses an answer whose reader it does not know yet. So a node that does not
        answer is asked again, and may say by its state that it has done it already.
        """
        asked = {
            space: (self.change_state(space, transition), time.monotonic()) for space in spaces
        }
        end_s = time.monotonic() + 20.0
        while asked:
            for space, (future, at_s) in list(asked.items()):
                is_over = future.done() or time.monotonic() - at_s > _ANSWER_S
                is_told = future.done() and future.result().success
                if is_told or (is_over and self._has_made(space, transition)):
                    del asked[space]
                elif is_over:
                    asked[space] = (self.change_state(space, transition), time.monotonic())
            assert time.monotonic() < end_s, f"no transition {transition} of {list(asked)}"
            time.sleep(0.05)

    def run(self, spaces: list[str]) -> None:
        """Activate all nodes until each is in RUN: again where something came late meanwhile.

        While several stand up at once, a busy machine may hold up one, which then damps, as it
        should.
        """
        left = list(spaces)
        for _ in range(5):
            self.transit(left, ACTIVATE)
            wait_until(
                lambda left=left: all(
                    self.states[space]["phase"] == "policy" or self.was_kept_waiting(space)
                    for space in left
                ),
                said=lambda left=left: {space: self.states[space] for space in left},
            )
            time.sleep(0.2)
            left = [space for space in left if self.states[space]["state"] != "RUN"]
            if not left:
                return
            self.transit(left, DEACTIVATE)
        raise AssertionError(f"{left} did not come to run")

    def was_kept_waiting(self, space: str) -> bool:
        """Whether a node left RUN because something came late."""
        state = self.states.get(space, {})
        is_over = state.get("active") is True and state["state"] != "RUN"
        return is_over and any(reason.startswith(LATE) for reason in state["reasons"])

    def _has_made(self, space: str, transition: int) -> bool:
        state = self.states.get(space, {})
        is_configured, is_active = state.get("configured"), state.get("active")
        return {
            CONFIGURE: is_configured is True,
            ACTIVATE: is_active is True,
            DEACTIVATE: is_active is False,
            CLEANUP: is_configured is False,
        }[transition]

    def stalled(self, from_s: float, to_s: float, longest_s: float = STALL_S) -> bool:
        """Whether the machine itself, or one of its processors, stood still for longer then."""
        return any(
            end_s > from_s and begin_s < to_s and end_s - begin_s > longest_s
            for begin_s, end_s in list(self.stalls)
        )

    def close(self) -> None:
        self._ended.set()
        self._executor.shutdown()
        for thread in self._threads:
            thread.join()
        self._node.destroy_node()

    def _on_command(self, space: str, message: Float64MultiArray, info: dict[str, int]) -> None:
        now_s = time.monotonic()
        age_s = (time.time_ns() - info["source_timestamp"]) * 1e-9
        # Rows of position, kp, kd: damping is kp = 0 in all.
        self.commands[space].append(Heard(now_s, not any(message.data[1::3]), now_s - age_s))

    def _on_state(self, space: str, message: String) -> None:
        self.states[space] = json.loads(message.data)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        status = message.status[0]
        space = status.name.split("/")[1]
        self.numbers[space] = {pair.key: pair.value for pair in status.values}

    def _watch_processor(self, number: int) -> None:
        os.sched_setaffinity(0, {number})  # of this thread alone
        before_s = time.monotonic()
        while not self._ended.wait(0.002):
            now_s = time.monotonic()
            if now_s - before_s > STALL_S:
                self.stalls.append((before_s, now_s))
            before_s = now_s


def wait_until(
    happened: Callable[[], object], timeout_s: float = 20.0, said: Callable[[], object] = str
) -> None:
    """Sleep until `happened()` is true; fail the test with `said()` if it never is."""
    end_s = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < end_s, f"not within {timeout_s} s: {said()}"
        time.sleep(0.005)
