"""Lets the robot of a policy node walk by itself inside a fence, and keeps the session's book.

It says velocity commands and nothing else. Where it falls silent, for whatever reason, the policy
node lets the robot stand after 0.5 s. Beyond the edge of the fence it presses the e-stop.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import Twist
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.utilities import try_shutdown
from sensor_msgs.msg import BatteryState
from std_msgs.msg import Bool, Empty, String
from std_srvs.srv import Trigger

from rwmu_deploy.contract.errors import ConfigError, RwmuError
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.patrol.collect_plan import CollectPlan, read_plan
from rwmu_deploy.patrol.collect_session import LOOK_S, CollectSession, Sight
from rwmu_deploy.patrol.excitation import LARGEST_LEVEL
from rwmu_deploy.patrol.session_folder import SessionFolder
from rwmu_deploy.patrol.session_writer import SessionWriter
from rwmu_ros import message_conversion, quality_of_service
from rwmu_ros.newest_message import NewestMessage
from rwmu_ros.odometry_place import odometry_place
from rwmu_ros.policy_ear import PolicyEar
from rwmu_ros.process_log import Rosout
from rwmu_ros.process_setup import start_process
from rwmu_ros.steady_timer import steady_timer
from rwmu_ros.stop_signals import StopSignals

_PROGRESS_S = 1.0
_STAND_S = 2.0
"""At the end the robot stands for so long before it is damped."""
_ANSWER_S = 5.0
"""Longest wait for the policy node to deactivate; then the e-stop is pressed."""
_TEXTS = {
    "bundle": ("", "Folder of the policy bundle, the policy node's"),
    "session": ("", "Folder of the session; goes on if it was begun"),
    "plan": ("", "YAML file of area, commands and limits; empty: the plan by default"),
    "policy_node": ("policy_node", "Name of the policy node"),
    "base_frame": ("base", "Frame of the odometry's twist"),
    "odom_topic": ("odom", "nav_msgs/Odometry, its pose too"),
    "cmd_vel_topic": ("cmd_vel", "geometry_msgs/Twist, for the policy node"),
    "battery_topic": ("battery", "sensor_msgs/BatteryState; nobody has to publish it"),
}
_log = logging.getLogger(__name__)


class CollectNode(Node):
    """See the module. An executor of one thread spins it.

    Raises:
        RwmuError: A parameter is refused, the bundle can't be trusted, or the folder is taken.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("collect_node", **kwargs)
        self._declare()
        text: dict[str, str] = {name: self.get_parameter(name).value or "" for name in _TEXTS}
        for name in ("bundle", "session"):
            if not text[name]:
                raise ConfigError(f"parameter {name} is empty", fix="Name the folder.")
        plan = self._plan(text["plan"])
        bundle = PolicyBundle.load(Path(text["bundle"]))
        facts = {
            "robot": bundle.spec.name,
            "bundle": bundle.name,
            "bundle_sha256": bundle.sha256,
            "plan": plan.to_dict(),
            "source": f"topic {text['odom_topic']}",
            "command_range": [list(bundle.command_range.lower), list(bundle.command_range.upper)],
        }
        self._writer = SessionWriter(SessionFolder(Path(text["session"]), facts))
        self.session = CollectSession(
            plan,
            bundle.command_range,
            progress=self._writer.folder.progress(),
            on_event=self._on_event,
        )
        self._policy = PolicyEar(self, text["policy_node"])
        self._place = NewestMessage(
            "odom",
            partial(odometry_place, base_frame=text["base_frame"]),
            message_conversion.stamp_ns,
        )
        self._battery = math.nan
        self._holds = False
        self._origin_when_armed = bool(self.get_parameter("origin_when_armed").value)
        self._was_armed = False
        self._over_since_s = math.inf
        self._pressed = self._asked = False
        self.exit_code: int | None = None
        """Set when the process should end by itself."""
        sensor, command = quality_of_service.SENSOR, quality_of_service.COMMAND
        self.create_subscription(Odometry, text["odom_topic"], self._on_odometry, sensor)
        self.create_subscription(BatteryState, text["battery_topic"], self._on_battery, sensor)
        self.create_subscription(Bool, "~/hold", self._on_hold, command)
        self.create_service(Trigger, "~/set_origin", self._on_set_origin)
        self._cmd_vel = self.create_publisher(Twist, text["cmd_vel_topic"], sensor)
        self._estop = self.create_publisher(Empty, f"{text['policy_node']}/estop", command)
        self._said = self.create_publisher(String, "~/session", quality_of_service.STATE)
        self._change = self.create_client(ChangeState, f"{text['policy_node']}/change_state")
        steady_timer(self, LOOK_S, self._look)
        steady_timer(self, _PROGRESS_S, self._say_progress)

    def end(self, reason: str) -> None:
        """Let the robot stand, and close the session's book."""
        self._cmd_vel.publish(message_conversion.twist_message((0.0, 0.0, 0.0)))
        self._say_progress()
        self._writer.close()
        _log.info("session ended by %s: %s", reason, json.dumps(self.session.progress()))

    def _look(self) -> None:
        now_s = time.monotonic()
        # HOLD doesn't leave the phase: only arming does.
        is_armed = self._policy.phase == "policy"
        if is_armed and not self._was_armed and self._origin_when_armed:
            self._set_origin()
        self._was_armed = is_armed
        decision = self.session.look(now_s, self._sight())
        self._cmd_vel.publish(message_conversion.twist_message(decision.command.tolist()))
        assert self.session.latest is not None, "it has just looked"
        self._writer.note_look(self.session.latest)
        if decision.mode == "outside":
            self._press(decision.reason)
        elif decision.mode == "over":
            self._end_session(now_s, decision.reason)
        else:
            self._pressed = False

    def _press(self, why: str) -> None:
        if not self._pressed:
            _log.error("e-stop pressed: %s. Carry the robot back, then set the origin.", why)
        self._pressed = True
        self._estop.publish(Empty())

    def _end_session(self, now_s: float, why: str) -> None:
        if self._over_since_s == math.inf:
            self._over_since_s = now_s
            _log.info("the session is over: %s", why)
        stood_s = now_s - self._over_since_s
        if stood_s < _STAND_S or self.exit_code is not None:
            return
        if self._policy.phase == "disarmed":
            self.exit_code = 0
        elif stood_s > _STAND_S + _ANSWER_S:
            self._press("the policy node does not deactivate")
            self.exit_code = 1
        elif not self._asked and self._change.service_is_ready():
            self._asked = True
            deactivate = Transition(id=Transition.TRANSITION_DEACTIVATE)
            self._change.call_async(ChangeState.Request(transition=deactivate))

    def _sight(self) -> Sight:
        place, policy = self._place.newest, self._policy
        return Sight(
            pose=np.full(3, np.nan) if place is None else place.value.pose,
            received_s=-math.inf if place is None else place.received_s,
            velocity=np.full(3, np.nan) if place is None else place.value.velocity,
            phase=policy.phase,
            state=policy.state,
            reasons=policy.reasons,
            doubt=policy.doubt,
            rows=policy.rows,
            dropped=policy.dropped,
            battery=self._battery,
            hold="hold by topic" if self._holds else "",
        )

    def _say_progress(self) -> None:
        progress = self.session.progress()
        self._writer.save_progress(progress)
        self._said.publish(String(data=json.dumps(progress)))

    def _on_odometry(self, message: Odometry) -> None:
        self._place.offer(message, time.monotonic())

    def _on_battery(self, message: BatteryState) -> None:
        self._battery = float(message.percentage)

    def _on_hold(self, message: Bool) -> None:
        self._holds = bool(message.data)

    def _set_origin(self) -> bool:
        place = self._place.newest
        return place is not None and self.session.set_origin(place.value.pose)

    def _on_set_origin(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._set_origin()
        response.message = (
            "the fence lies about the robot as it stands now"
            if response.success
            else "refused: odometry has not said where the robot is " + self._place.last_refusal
        )
        return response

    def _on_event(self, event: Any) -> None:
        self._writer.note_event(event)
        _log.info("%s: %s", event.kind, event.detail)

    def _plan(self, path: str) -> CollectPlan:
        plan = read_plan(Path(path)) if path else CollectPlan()
        hours = float(self.get_parameter("hours").value or 0.0)
        if hours:
            plan = replace(plan, limits=replace(plan.limits, longest_s=3600.0 * hours))
        # The noise is the policy node's; here it is only written down.
        level = float(self.get_parameter("excitation").value or 0.0)
        return replace(plan, excitation=replace(plan.excitation, level=level))

    def _declare(self) -> None:
        for name, (default, description) in _TEXTS.items():
            self.declare_parameter(name, default, ParameterDescriptor(description=description))
        self.declare_parameter(
            "hours",
            0.0,
            ParameterDescriptor(
                description="Time to walk [h]; 0: the plan's",
                floating_point_range=[FloatingPointRange(from_value=0.0, to_value=24.0)],
            ),
        )
        self.declare_parameter(
            "excitation",
            0.0,
            ParameterDescriptor(
                description="What the policy node was told, for the session's book",
                floating_point_range=[FloatingPointRange(from_value=0.0, to_value=LARGEST_LEVEL)],
            ),
        )
        self.declare_parameter(
            "origin_when_armed",
            False,
            ParameterDescriptor(
                description="Set the origin whenever the policy begins, not by service"
            ),
        )


def main(args: list[str] | None = None) -> int:
    """Run the node until a signal, or until the session is over."""
    signals = StopSignals()
    log = start_process(args)
    try:
        node = CollectNode()
    except RwmuError as error:
        _log.error("%s", error)
        try_shutdown()
        log.close()
        return 1
    log.also_to(Rosout(node.get_logger()))
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    signals.wake = executor.wake
    try:
        while signals.received is None and node.exit_code is None:
            executor.spin_once(timeout_sec=0.05)
    finally:
        node.end(signals.received or "its plan")
        executor.shutdown()
        node.destroy_node()
        try_shutdown()
        log.close()
    return node.exit_code or 0


if __name__ == "__main__":
    sys.exit(main())
