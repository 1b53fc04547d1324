"""The robot behind topics: sensor messages in, joint commands out."""

from __future__ import annotations

import logging
import math
import threading
import time
from array import array
from functools import partial
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import qos_policy_name_from_kind
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray

from rwmu_deploy.contract.joint_map import JointMap
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import JointCommand, RobotState
from rwmu_deploy.runtime.contact_estimate import ContactEstimate
from rwmu_deploy.runtime.velocity_estimate import VelocityEstimate
from rwmu_ros import message_conversion, quality_of_service
from rwmu_ros.command_ear import CommandEar
from rwmu_ros.message_conversion import JointReading
from rwmu_ros.newest_message import NewestMessage, Received
from rwmu_ros.node_link import NodeLink, refuse_late
from rwmu_ros.node_parameters import PolicyNodeParameters
from rwmu_ros.sampled_topic import SampledTopic

try:
    from rclpy.event_handler import PublisherEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks

_log = logging.getLogger(__name__)


class TopicLink(NodeLink):
    """A RobotLink over topics.

    Messages are taken when `latest_state` is called: by the loop's thread while it runs.

    Args:
        node: Owner of the subscriptions and publishers.
        spec: The robot.
        parameters: Topic names, base frame, dry run.

    Raises:
        RobotSpecError: `position_command_joints` misses a joint of the robot or names a stranger.
    """

    def __init__(self, node: Node, spec: RobotSpec, parameters: PolicyNodeParameters) -> None:
        self._node = node
        self._spec = spec
        self._lock = threading.Lock()
        self._sampled_s = -math.inf
        self._joint_map: tuple[list[str], JointMap] | None = None
        frame = parameters.base_frame
        stamp_ns = message_conversion.stamp_ns
        self._joints = NewestMessage("joint_states", self._joint_reading, stamp_ns)
        self._imu = NewestMessage(
            "imu", partial(message_conversion.imu_reading, base_frame=frame), stamp_ns
        )
        self._odom = NewestMessage(
            "odom", partial(message_conversion.base_origin_velocity, base_frame=frame), stamp_ns
        )
        self._contacts = NewestMessage(
            "contacts",
            partial(message_conversion.contact_reading, contact_names=spec.contact_names),
        )
        self._contact_estimate = None if parameters.contacts_topic else ContactEstimate(spec)
        self._velocity_estimate = None if parameters.odom_topic else VelocityEstimate(spec)

        self.command_topic = parameters.command_topic + ("/dry_run" if parameters.dry_run else "")
        self.mismatches: list[str] = []
        """Listeners on a command topic that can't hear, each in words."""
        self._command = self._command_publisher(self.command_topic)
        self._position: tuple[Any, JointMap] | None = None
        if parameters.position_command_topic and not parameters.dry_run:
            joints = parameters.position_command_joints
            # Both ways: the controller may know neither fewer joints nor others.
            JointMap(joints, spec.joint_names, source="position_command_joints")
            to_controller = JointMap(spec.joint_names, joints, source="robot.yaml")
            publisher = self._command_publisher(parameters.position_command_topic)
            self._position = (publisher, to_controller)

        self._ears = [CommandEar(node, Float64MultiArray, t) for t in self._command_topics()]
        self._topics = [
            SampledTopic(node, JointState, parameters.joint_states_topic, self._joints),
            SampledTopic(node, Imu, parameters.imu_topic, self._imu),
        ]
        if parameters.odom_topic:
            self._topics.append(SampledTopic(node, Odometry, parameters.odom_topic, self._odom))
        if parameters.contacts_topic:
            self._topics.append(
                SampledTopic(node, Float64MultiArray, parameters.contacts_topic, self._contacts)
            )

    @property
    def sources(self) -> tuple[NewestMessage[Any, Any], ...]:
        """The sensor topics, for reports and ages."""
        odom = () if self._velocity_estimate is not None else (self._odom,)
        contacts = () if self._contact_estimate is not None else (self._contacts,)
        return (self._joints, self._imu, *odom, *contacts)

    def latest_state(self) -> RobotState | None:
        """The newest measurements together; None until every topic has delivered."""
        with self._lock:
            self._sampled_s = time.monotonic()
            for topic in self._topics:
                topic.sample()
            return self._newest_state()

    def send(self, command: JointCommand) -> None:
        """Publish a command.

        A position-only controller can't damp, so it gets nothing then: it must time out itself.

        Raises:
            RobotLinkError: A position that comes too long after the measurements it was made from,
                as when the process was frozen in between. It isn't published.
        """
        refuse_late(command, time.monotonic() - self._sampled_s, self._spec)
        self._command.publish(message_conversion.command_message(self._spec, command))
        if self._position is not None and not command.is_damping:
            publisher, to_controller = self._position
            values = to_controller(command.position_rad)
            publisher.publish(Float64MultiArray(data=array("d", values.tobytes())))

    def forget(self) -> None:
        """Drop all measurements, so that a new start can't act on old ones."""
        for source in self.sources:
            source.forget()

    def complaints(self) -> list[str]:
        """What keeps each topic from being used, in words."""
        said: list[str] = []
        for source in self.sources:
            if source.newest is not None:
                continue
            if source.last_refusal:
                said.append(f"{source.topic} refused: {source.last_refusal}")
            elif source.out_of_order:
                said.append(
                    f"{source.topic}: {source.out_of_order} messages whose stamps did not grow"
                )
            else:
                said.append(f"{source.topic}: no message")
        return said

    def has_other_commanders(self) -> bool:
        """Whether somebody else publishes on a command topic; it waits for nobody."""
        return any(ear.hears_others() for ear in self._ears)

    def other_commanders(self) -> list[str]:
        """Names of other nodes that publish on a command topic."""
        return [name for ear in self._ears for name in ear.others()]

    def close(self) -> None:
        """Give the subscriptions and publishers back."""
        for topic in self._topics:
            topic.close()
        for ear in self._ears:
            ear.close()
        self._node.destroy_publisher(self._command)
        if self._position is not None:
            self._node.destroy_publisher(self._position[0])

    def _command_topics(self) -> list[str]:
        topics = [self._command.topic_name]
        return topics if self._position is None else [*topics, self._position[0].topic_name]

    def _command_publisher(self, topic: str) -> Any:
        def say_mismatch(event: Any) -> None:
            policy = qos_policy_name_from_kind(event.last_policy_kind)
            said = (
                f"a listener on {topic} can't hear the commands: its QoS policy {policy} asks for "
                "more than reliable, volatile, depth 1. Change the listener."
            )
            self.mismatches.append(said)
            _log.error("%s", said)

        return self._node.create_publisher(
            Float64MultiArray,
            topic,
            quality_of_service.COMMAND,
            event_callbacks=PublisherEventCallbacks(incompatible_qos=say_mismatch),
        )

    def _newest_state(self) -> RobotState | None:
        joints, imu = self._joints.newest, self._imu.newest
        odom, contacts = self._odom.newest, self._contacts.newest
        if joints is None or imu is None:
            return None
        used: list[Received[Any]] = [joints, imu]
        legs = (joints.received_s, joints.value.position_rad, joints.value.velocity_radps)
        omega = imu.value.angular_velocity_radps
        if self._contact_estimate is not None:
            gravity = imu.value.projected_gravity
            contact = self._contact_estimate.step(*legs, joints.value.torque_nm, gravity)
        elif contacts is not None:
            contact = contacts.value
            used.append(contacts)
        else:
            return None
        if self._velocity_estimate is not None:
            velocity_mps = self._velocity_estimate.step(*legs, omega, contact)
        elif odom is not None:
            velocity_mps = message_conversion.velocity_at_com(self._spec, odom.value, omega)
            used.append(odom)
        else:
            return None
        return RobotState(
            base_linear_velocity_mps=velocity_mps,
            base_angular_velocity_radps=omega,
            projected_gravity=imu.value.projected_gravity,
            joint_position_rad=joints.value.position_rad,
            joint_velocity_radps=joints.value.velocity_radps,
            joint_torque_nm=joints.value.torque_nm,
            contact=contact,
            received_s=min(one.received_s for one in used),
        )

    def _joint_reading(self, message: JointState) -> JointReading:
        names: Any = message.name
        if self._joint_map is None or self._joint_map[0] != names:
            joint_map = JointMap(names, self._spec.joint_names, source="topic joint_states")
            self._joint_map = (list(names), joint_map)
        return message_conversion.joint_reading(message, self._joint_map[1])
