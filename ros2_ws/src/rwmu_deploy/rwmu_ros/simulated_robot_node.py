"""A robot to try a policy on: MuJoCo in real time behind the topics of a real one.

It publishes its joints leg by leg, not in the policy's order, so that names have to be used.
Before the first command it stands by itself; when commands stop coming it damps, as a real robot's
joint controllers must.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from pathlib import Path
from typing import Any

from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray

from rwmu_deploy.contract.robot_spec import default_robot, load_robot_spec
from rwmu_deploy.runtime.ticker import Ticker
from rwmu_deploy.simulation.odometry_drift import LARGEST_SHARE, OdometryDrift
from rwmu_deploy.simulation.robot_variant import NOMINAL, VARIANTS, find_variant
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot
from rwmu_ros import quality_of_service, simulated_process
from rwmu_ros.measurement_messages import MeasurementMessages, leg_major
from rwmu_ros.message_conversion import command_of_message, velocity_command
from rwmu_ros.newest_message import NewestMessage
from rwmu_ros.realtime_priority import HIGHEST, raise_priority
from rwmu_ros.truth_recorder import TruthRecorder
from rwmu_ros.velocity_sequence import VelocitySequence, VelocitySequencePublisher

_TRUTH_PERIOD_S = 0.02
_log = logging.getLogger(__name__)
_TEXTS = {
    "robot": (default_robot(), "Robot name or robot.yaml"),
    "variant": (NOMINAL.name, f"Simulated robot, one of {', '.join(VARIANTS)}"),
    "base_frame": ("base", "Frame of IMU data and twist"),
    "joint_states_topic": ("joint_states", "sensor_msgs/JointState"),
    "imu_topic": ("imu", "sensor_msgs/Imu"),
    "odom_topic": ("odom", "nav_msgs/Odometry"),
    "contacts_topic": ("contacts", "Labelled table"),
    "command_topic": ("joint_command", "Labelled table"),
    "cmd_vel_topic": ("cmd_vel", "geometry_msgs/Twist"),
    "state_topic": ("policy_node/state", "State of the policy node"),
    "velocity_sequence": ("", "YAML list of [seconds, vx, vy, wz]; empty: none"),
    "truth_file": ("", "CSV of what really happened, written at the end; empty: none"),
}


class SimulatedRobotNode(Node):
    """Physics and publishing in a thread of its own, commands from the node's executor.

    Raises:
        RwmuError: A parameter is refused.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("simulated_robot", **kwargs)
        self._declare()
        value: dict[str, Any] = {name: self.get_parameter(name).value for name in _TEXTS} | {
            "rate_hz": self.get_parameter("rate_hz").value
        }
        spec = load_robot_spec(value["robot"])
        self._spec = spec
        order = list(self._joint_order() or leg_major(spec.joint_names))
        self._messages = MeasurementMessages(spec, order, value["base_frame"])
        self._period_s = 1.0 / value["rate_hz"]
        self._robot = SimulatedRobot(
            spec,
            start_s=time.monotonic(),
            variant=find_variant(value["variant"]),
            seed=self.get_parameter("variant_seed").value or 0,
        )
        seed = self.get_parameter("variant_seed").value or 0
        drift = self.get_parameter("odometry_drift").value or 0.0
        self._drift = OdometryDrift(drift, 1, seed)
        self._command = NewestMessage("joint_command", self._take_command)
        self._velocity = NewestMessage("cmd_vel", velocity_command)
        self.failed = False
        """Whether the simulation ended by itself."""

        sensor = quality_of_service.SENSOR
        self._joints = self.create_publisher(JointState, value["joint_states_topic"], sensor)
        self._imu = self.create_publisher(Imu, value["imu_topic"], sensor)
        self._odom = self.create_publisher(Odometry, value["odom_topic"], sensor)
        self._contacts = self.create_publisher(Float64MultiArray, value["contacts_topic"], sensor)
        self.create_subscription(
            Float64MultiArray,
            value["command_topic"],
            self._on_command,
            quality_of_service.COMMAND,
        )
        self.create_subscription(
            Twist,
            value["cmd_vel_topic"],
            self._on_velocity,
            sensor,
        )
        self._sequence = None
        if value["velocity_sequence"]:
            self._sequence = VelocitySequencePublisher(
                self,
                VelocitySequence.from_text(value["velocity_sequence"]),
                value["cmd_vel_topic"],
                value["state_topic"],
            )
        self._truth = TruthRecorder(Path(value["truth_file"])) if value["truth_file"] else None
        raise_priority(self.get_parameter("realtime_priority").value or 0)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="physics", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End the physics thread and publish the truth file."""
        self._ending.set()
        self._thread.join(2.0)
        if self._truth is not None:
            self._truth.close()
        _log.info(
            "simulated robot ended: base height %.3f m, %.3f s of physics dropped, commands %s %s",
            self._robot.base_height_m,
            self._robot.dropped_s,
            self._command.counts(),
            self._command.last_refusal,
        )

    def _run(self) -> None:
        began_s = time.monotonic()
        ticker = Ticker(self._period_s, began_s)
        truth_due_s = began_s
        try:
            while not self._ending.wait(max(0.0, ticker.deadline_s - time.monotonic())):
                now_s = time.monotonic()
                self._robot.advance_in_real_time(now_s)
                self._publish()
                if self._truth is not None and now_s >= truth_due_s:
                    self._record(now_s - began_s)
                    truth_due_s = max(truth_due_s + _TRUTH_PERIOD_S, now_s)
                ticker.advance(time.monotonic())
        except Exception:  # noqa: BLE001  whatever it is, the process must end with it
            _log.exception("the simulated robot failed")
            self.failed = True

    def _publish(self) -> None:
        state, stamp = self._robot.latest_state(), self.get_clock().now().to_msg()
        messages = self._messages
        self._joints.publish(messages.joint_states(state, stamp))
        self._imu.publish(messages.imu(state, stamp))
        position_m = self._robot.base_position_m
        position_m[:2] = self._drift.believed_m(position_m[None, :2])[0]
        yaw_rad = self._robot.base_yaw_rad
        self._odom.publish(messages.odometry(state, position_m, stamp, yaw_rad))
        self._contacts.publish(messages.contacts(state))

    def _record(self, time_s: float) -> None:
        assert self._truth is not None, "asked for only with a truth file"
        state, position_m = self._robot.true_state(), self._robot.base_position_m
        velocity, command = self._velocity.newest, self._command.newest
        vx, vy, wz = (0.0, 0.0, 0.0) if velocity is None else velocity.value
        self._truth.write(
            [
                time_s,
                *position_m[:2],
                self._robot.base_height_m,
                -state.projected_gravity[2],
                self._robot.fell,
                *state.base_linear_velocity_mps[:2],
                state.base_angular_velocity_radps[2],
                vx,
                vy,
                wz,
                self._command.accepted,
                command is not None and command.value,
            ]
        )

    def _on_command(self, message: Float64MultiArray) -> None:
        self._command.offer(message, time.monotonic())

    def _on_velocity(self, message: Twist) -> None:
        self._velocity.offer(message, time.monotonic())

    def _take_command(self, message: Float64MultiArray) -> bool:
        """Follow a command; says whether it damps."""
        command = command_of_message(message, self._spec)
        self._robot.send(command)
        return command.is_damping

    def _declare(self) -> None:
        for name, (default, description) in _TEXTS.items():
            self.declare_parameter(name, default, ParameterDescriptor(description=description))
        self.declare_parameter(
            "rate_hz",
            200.0,
            ParameterDescriptor(
                description="Measurements a second",
                floating_point_range=[FloatingPointRange(from_value=50.0, to_value=400.0)],
            ),
        )
        self.declare_parameter(
            "odometry_drift",
            0.0,
            ParameterDescriptor(
                description="Error of odometry over the way walked",
                floating_point_range=[FloatingPointRange(from_value=0.0, to_value=LARGEST_SHARE)],
            ),
        )
        self.declare_parameter(
            "variant_seed",
            0,
            ParameterDescriptor(
                description="Seed of what the variant draws",
                integer_range=[IntegerRange(from_value=0, to_value=2**31 - 1, step=1)],
            ),
        )
        self.declare_parameter(
            "realtime_priority",
            0,
            ParameterDescriptor(
                description="SCHED_FIFO priority of all threads; 0: leave it to the system",
                integer_range=[IntegerRange(from_value=0, to_value=HIGHEST, step=1)],
            ),
        )
        self.declare_parameter(
            "joint_order",
            Parameter.Type.STRING_ARRAY,
            ParameterDescriptor(description="Order of joint_states; default is leg by leg"),
        )

    def _joint_order(self) -> list[str]:
        unset = Parameter("joint_order", Parameter.Type.STRING_ARRAY, [])
        return list(self.get_parameter_or("joint_order", unset).value or ())


def main(args: list[str] | None = None) -> int:
    """Run the robot until a signal."""
    return simulated_process.run(SimulatedRobotNode, args)


if __name__ == "__main__":
    sys.exit(main())
