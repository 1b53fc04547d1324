"""The robot behind LowState and LowCmd, as the control loop uses it."""

from __future__ import annotations

import math
import threading
import time
from functools import partial
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.node import Node
from rwmu_ros import message_conversion, quality_of_service
from rwmu_ros.command_ear import CommandEar
from rwmu_ros.newest_message import NewestMessage
from rwmu_ros.node_link import LinkKind, NodeLink, refuse_late
from rwmu_ros.node_parameters import PolicyNodeParameters
from rwmu_ros.sampled_topic import SampledTopic
from unitree_hg import msg as hg

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import (
    FloatArray,
    JointCommand,
    RobotState,
    damping_command,
)
from rwmu_deploy.robots.unitree.cdr import to_cdr
from rwmu_deploy.robots.unitree.frames import LOW_COMMAND
from rwmu_deploy.robots.unitree.hardware import refuse_other_hardware
from rwmu_deploy.robots.unitree.link_guard import LinkGuard
from rwmu_deploy.robots.unitree.link_limits import LinkLimits
from rwmu_deploy.robots.unitree.low_command import LowCommandWriter
from rwmu_deploy.robots.unitree.low_state import LowState
from rwmu_deploy.runtime.arming import ArmingCheck
from rwmu_deploy.runtime.contact_estimate import ContactEstimate
from rwmu_deploy.runtime.safety_monitor import Verdict
from rwmu_deploy.runtime.velocity_estimate import VelocityEstimate
from rwmu_unitree.command_repeater import CommandRepeater
from rwmu_unitree.link_parameters import declare_link_parameters, read_link_parameters
from rwmu_unitree.low_state_messages import LowStateMessages


class LowLevelLink(NodeLink):
    """A NodeLink over LowState, LowCmd and BmsState; an odometry, where there is one.

    Args:
        node: Owner of the subscriptions and publishers; `declare_link_parameters` was called.
        spec: The robot.
        command_range: What the remote's sticks may ask for.
        parameters: Topic names, base frame, dry run.

    Raises:
        RobotSpecError: Its joints are not those of the hardware that is expected.
        RobotLinkError: Nobody knows that hardware.
        ConfigError: A parameter is none of its choices.
    """

    def __init__(
        self,
        node: Node,
        spec: RobotSpec,
        command_range: CommandRange,
        parameters: PolicyNodeParameters,
    ) -> None:
        own = read_link_parameters(node)
        refuse_other_hardware(spec, own.mode_machine)
        self._node = node
        self._spec = spec
        self._lock = threading.Lock()
        self._sampled_s = -math.inf
        self._mode_machine = own.mode_machine
        self._follows_sticks = own.velocity == "remote"
        self.guard = LinkGuard(
            spec,
            command_range,
            LinkLimits(
                mode_machine=own.mode_machine,
                needs_remote=own.remote == "stop",
                needs_battery=own.battery == "watch",
            ),
        )
        self._writer = LowCommandWriter(spec)
        self._damping_command = damping_command(spec, spec.default_position_rad)
        self._damping: dict[int, bytes] = {}
        self._contact_estimate = ContactEstimate(spec)
        self._velocity_estimate = None if parameters.odom_topic else VelocityEstimate(spec)
        self.mismatches: list[str] = []
        """Kept for the node's report; the robot's own listener takes any."""

        self._low_state = LowStateMessages(self.guard)
        self._odom: NewestMessage[Odometry, Any] = NewestMessage(
            "odom",
            partial(message_conversion.base_origin_velocity, base_frame=parameters.base_frame),
            message_conversion.stamp_ns,
        )
        self._battery: NewestMessage[hg.BmsState, float] = NewestMessage(
            "battery", lambda message: float(message.soc)
        )
        self._topics = [
            SampledTopic(node, hg.LowState, own.low_state_topic, self._low_state, raw=True),
            SampledTopic(node, hg.BmsState, own.battery_topic, self._battery),
        ]
        if parameters.odom_topic:
            self._topics.append(SampledTopic(node, Odometry, parameters.odom_topic, self._odom))
        self.command_topic = parameters.command_topic + ("/dry_run" if parameters.dry_run else "")
        self._publisher = node.create_publisher(
            hg.LowCmd, self.command_topic, quality_of_service.COMMAND
        )
        self._ear = CommandEar(node, hg.LowCmd, self._publisher.topic_name)
        self._repeater = CommandRepeater(self._publisher.publish, spec.link_timeout_s)

    @property
    def sources(self) -> tuple[NewestMessage[Any, Any], ...]:
        """LowState, and odometry where there is one."""
        return (
            (self._low_state,)
            if self._velocity_estimate is not None
            else (self._low_state, self._odom)
        )

    def latest_state(self) -> RobotState | None:
        """The newest measurements together; None until every source has delivered."""
        with self._lock:
            self._sampled_s = time.monotonic()
            for topic in self._topics:
                topic.sample()
            if self._battery.newest is not None:
                battery = self._battery.newest
                self.guard.take_battery(battery.value, battery.received_s)
            low = self._low_state.newest
            return None if low is None else self._state(low.value, low.received_s)

    def _state(self, low: LowState, received_s: float) -> RobotState | None:
        # By the robot's own time: what messages waited on their way is no motion.
        joints = (low.tick_s, low.joint_position_rad, low.joint_velocity_radps)
        omega = low.base_angular_velocity_radps
        contact = self._contact_estimate.step(*joints, low.joint_torque_nm, low.projected_gravity)
        if self._velocity_estimate is not None:
            velocity_mps = self._velocity_estimate.step(*joints, omega, contact)
            return low.robot_state(velocity_mps, contact, received_s)
        odom = self._odom.newest
        if odom is None:
            return None
        velocity_mps = message_conversion.velocity_at_com(self._spec, odom.value, omega)
        return low.robot_state(velocity_mps, contact, min(received_s, odom.received_s))

    def send(self, command: JointCommand) -> None:
        """Publish a command, and say it again at 500 Hz until the next.

        Raises:
            RobotLinkError: Not finite, or a position that comes too long after the measurements it
                was made from. It isn't published.
        """
        refuse_late(command, time.monotonic() - self._sampled_s, self._spec)
        # A robot ignores commands with another number than its own, damping too.
        machine = self.guard.mode_machine
        machine = self._mode_machine if machine is None else machine
        if machine not in self._damping:
            self._damping[machine] = self._message(self._damping_command, machine)
        damping = self._damping[machine]
        message = damping if command.is_damping else self._message(command, machine)
        self._repeater.say(message, damping)

    def verdicts(self, now_s: float) -> list[Verdict]:
        """Why the armed robot itself should not go on."""
        return self.guard.judge(now_s, active=True)

    def arming_checks(self, now_s: float) -> list[ArmingCheck]:
        """What the robot itself has against being armed."""
        # What was seen of a robot that nobody had armed ends no run.
        self.guard.judge(now_s, active=False)
        return self.guard.arming_checks(now_s)

    def velocity_command(self, now_s: float) -> FloatArray | None:
        """What the sticks ask for, where they may."""
        return self.guard.velocity_command(now_s) if self._follows_sticks else None

    def may_walk(self, now_s: float) -> bool:
        """Not while the battery is low, or the remote silent."""
        return self.guard.velocity_factor(now_s) == 1.0

    def asks_to_start(self, now_s: float) -> bool:
        """Whether the remote's start button was pressed just now."""
        return self.guard.remote.take_start(now_s)

    def numbers(self) -> dict[str, Any]:
        """Hardware, battery, and how often each of the robot's own faults was seen."""
        battery = self._battery.newest
        return {
            "mode_machine": self.guard.mode_machine,
            "battery_percent": None if battery is None else battery.value,
            "faults": dict(self.guard.counters),
            "commands": self._repeater.sent,
            "silences": self._repeater.silences,
        }

    def complaints(self) -> list[str]:
        """What keeps each topic from being used, in words."""
        fixes = {
            "low_state": "is the robot on this network, and ROS_DOMAIN_ID its own?",
            "odom": "start an odometry, or leave odom_topic empty: the velocity is estimated then",
        }
        return [
            f"{source.topic}: {source.last_refusal or 'no message, ' + fixes[source.topic]}"
            for source in self.sources
            if source.newest is None
        ]

    def has_other_commanders(self) -> bool:
        """Whether somebody else publishes LowCmd; it waits for nobody."""
        return self._ear.hears_others()

    def other_commanders(self) -> list[str]:
        """Names of others that publish LowCmd; the robot's own motion service has none."""
        return self._ear.others()

    def forget(self) -> None:
        """Damp, fall silent, and drop all measurements."""
        self._repeater.rest()
        for source in self.sources:
            source.forget()

    def close(self) -> None:
        """Damp, and give everything back."""
        self._repeater.close()
        for topic in self._topics:
            topic.close()
        self._ear.close()
        self._node.destroy_publisher(self._publisher)

    def _message(self, command: JointCommand, mode_machine: int) -> bytes:
        return to_cdr(self._writer.frame(command, mode_machine), LOW_COMMAND)


LOW_LEVEL = LinkKind(LowLevelLink, declare_link_parameters)
"""For the policy node."""
