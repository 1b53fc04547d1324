"""Ask which mode of the robot's own motion service is on, and end it: with a confirmation.

ros2 run rwmu_unitree motion_service            says which mode is on
ros2 run rwmu_unitree motion_service release    ends it, once its name was typed
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.utilities import remove_ros_args, try_shutdown
from unitree_api.msg import Request, Response

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.robots.unitree.motion_service import (
    RELEASE,
    REQUEST_TOPIC,
    RESPONSE_TOPIC,
    WHICH_MODE,
    mode_in,
    refuse_failure,
)

ANSWER_S = 5.0
"""Longest wait for an answer."""
RELEASED_S = 10.0
"""Longest wait for a mode to be off after it was released."""
_SPIN_S = 0.05
_QUEUE = 10


class MotionService:
    """Asks the service; each question waits for its own answer.

    Args:
        node: Owner of the two topics. Nobody else may spin it.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._requests = node.create_publisher(Request, REQUEST_TOPIC, _QUEUE)
        self._answers: dict[int, Response] = {}
        node.create_subscription(Response, RESPONSE_TOPIC, self._take, _QUEUE)

    def mode(self) -> str:
        """Name of the mode that is on; empty: none.

        Raises:
            RobotLinkError: Nobody answers, or not with a mode.
        """
        answer = self._ask(WHICH_MODE)
        return mode_in(answer.header.status.code, answer.data)

    def release(self) -> None:
        """End the mode, and wait until none is on.

        Raises:
            RobotLinkError: Nobody answers, the service refuses, or a mode stays on.
        """
        refuse_failure(self._ask(RELEASE).header.status.code)
        end_s = time.monotonic() + RELEASED_S
        while name := self.mode():
            if time.monotonic() > end_s:
                raise RobotLinkError(
                    f"mode {name} is still on {RELEASED_S:g} s after it was released",
                    fix="Press L2 and R2 on the remote instead, with the robot hung up.",
                )

    def _ask(self, what: int) -> Response:
        request = Request()
        request.header.identity.id = time.monotonic_ns()
        request.header.identity.api_id = what
        end_s = time.monotonic() + ANSWER_S
        # A question put before the service was found would be lost.
        while not self._requests.get_subscription_count() and time.monotonic() < end_s:
            self._executor.spin_once(_SPIN_S)
        self._requests.publish(request)
        while time.monotonic() < end_s:
            self._executor.spin_once(_SPIN_S)
            if request.header.identity.id in self._answers:
                return self._answers.pop(request.header.identity.id)
        raise RobotLinkError(
            f"nobody answers on {RESPONSE_TOPIC} within {ANSWER_S:g} s",
            fix="Is the robot on this network, and ROS_DOMAIN_ID its own? A simulator has no such "
            "service, and needs none.",
        )

    def _take(self, answer: Response) -> None:
        self._answers[answer.header.identity.id] = answer


def run(service: MotionService, words: list[str], ask: Callable[[str], str] = input) -> int:
    """Do what the command line says, and say what became of it.

    Args:
        service: Whom to ask.
        words: Nothing, or `release`.
        ask: Puts a question to the operator.

    Returns:
        0 where no mode is on at the end, 1 where one is, or nobody knows, 2 for other words.
    """
    if words not in ([], ["release"]):
        print(f"{' '.join(words)}: allowed is nothing, or release", file=sys.stderr)
        return 2
    try:
        name = service.mode()
        if not name:
            print("No mode is on: the motors are free.")
            return 0
        print(f"Mode {name} is on: the robot's own motion service drives the motors.")
        if not words:
            return 1
        print("Released, the robot falls where nothing holds it. Hang it up first.")
        if ask(f"Type {name} to release it: ").strip() != name:
            print("Not released.")
            return 1
        service.release()
    except (RobotLinkError, EOFError) as error:
        print(str(error) or "Not released: nobody answered the question.", file=sys.stderr)
        return 1
    print(f"Mode {name} is off: the motors are free.")
    return 0


def main(args: list[str] | None = None) -> int:
    """See the module."""
    given = sys.argv if args is None else args
    rclpy.init(args=given)
    node = rclpy.create_node("motion_service_client")
    try:
        return run(MotionService(node), remove_ros_args(given)[1:])
    finally:
        node.destroy_node()
        try_shutdown()


if __name__ == "__main__":
    sys.exit(main())
