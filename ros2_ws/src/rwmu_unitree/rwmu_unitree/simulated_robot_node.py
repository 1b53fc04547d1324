"""The robot to try a policy on: MuJoCo in real time behind LowState and LowCmd, at 500 Hz.

Odometry comes with it, on a topic of its own: the real robot has none.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import Any

from nav_msgs.msg import Odometry
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.node import Node
from rwmu_ros import quality_of_service, simulated_process
from rwmu_ros.measurement_messages import MeasurementMessages
from rwmu_ros.sampled_topic import NeverExecuted, no_callback
from rwmu_ros.velocity_sequence import VelocitySequence, VelocitySequencePublisher
from unitree_hg.msg import BmsState, LowCmd, LowState

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.robots.unitree.simulated_wire import SimulatedWire
from rwmu_deploy.runtime.ticker import Ticker
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot

RATE_HZ = 500.0
_ODOMETRY_EVERY = 2
_BATTERY_S = 0.1
_log = logging.getLogger(__name__)


class SimulatedRobotNode(Node):
    """Physics, listening and publishing in one thread.

    Raises:
        RwmuError: A parameter is refused.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("simulated_robot", **kwargs)
        texts = {
            "robot": "g1",
            "base_frame": "pelvis",
            "odom_topic": "odom",
            "low_state_topic": "/lowstate",
            "command_topic": "/lowcmd",
            "battery_topic": "/lf/bmsstate",
            "cmd_vel_topic": "cmd_vel",
            "state_topic": "policy_node/state",
            "velocity_sequence": "",
        }
        value = {name: str(self.declare_parameter(name, v).value) for name, v in texts.items()}
        number = self.declare_parameter("mode_machine", 5).value
        range_hz = FloatingPointRange(from_value=50.0, to_value=RATE_HZ)
        rate_hz = self.declare_parameter(
            "rate_hz",
            RATE_HZ,
            ParameterDescriptor(description="LowState a second", floating_point_range=[range_hz]),
        ).value
        self._period_s = 1.0 / (rate_hz or RATE_HZ)
        spec = load_robot_spec(value["robot"])
        self.wire = SimulatedWire(spec, int(number or 0))
        self.robot = SimulatedRobot(spec, start_s=time.monotonic(), physics_dt_s=1.0 / RATE_HZ)
        self._messages = MeasurementMessages(spec, list(spec.joint_names), value["base_frame"])
        sensor = quality_of_service.SENSOR
        self._state = self.create_publisher(LowState, value["low_state_topic"], sensor)
        self._odom = self.create_publisher(Odometry, value["odom_topic"], sensor)
        self._battery = self.create_publisher(BmsState, value["battery_topic"], sensor)
        self.battery_percent = 90
        """It is never used up."""
        self._commands = self.create_subscription(
            LowCmd,
            value["command_topic"],
            no_callback,
            quality_of_service.COMMAND,
            callback_group=NeverExecuted(),
            raw=True,
        )
        self._operator = None
        if value["velocity_sequence"]:
            sequence = VelocitySequence.from_text(value["velocity_sequence"])
            self._operator = VelocitySequencePublisher(
                self, sequence, value["cmd_vel_topic"], value["state_topic"]
            )
        self.heard = 0
        """Commands that were followed."""
        self.failed = False
        """Whether the simulation ended by itself."""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="physics", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End the physics thread."""
        self._ending.set()
        self._thread.join(2.0)
        _log.info(
            "simulated robot ended: base height %.3f m, %.3f s of physics dropped, %d commands, "
            "refused %s",
            self.robot.base_height_m,
            self.robot.dropped_s,
            self.heard,
            dict(self.wire.refused),
        )

    def _run(self) -> None:
        began_s = time.monotonic()
        ticker = Ticker(self._period_s, began_s)
        tick = 0
        try:
            while not self._ending.wait(max(0.0, ticker.deadline_s - time.monotonic())):
                self._listen()
                now_s = time.monotonic()
                self.robot.advance_in_real_time(now_s)
                self._say(round((now_s - began_s) * 1000.0), tick)
                tick += 1
                ticker.advance(time.monotonic())
        except Exception:  # noqa: BLE001  whatever it is, the process must end with it
            _log.exception("the simulated robot failed")
            self.failed = True

    def _listen(self) -> None:
        while (taken := self._commands.handle.take_message(LowCmd, True)) is not None:
            command = self.wire.command(taken[0])
            if command is not None:
                self.robot.send(command)
                self.heard += 1

    def _say(self, tick_ms: int, tick: int) -> None:
        state, yaw_rad = self.robot.latest_state(), self.robot.base_yaw_rad
        self._state.publish(self.wire.low_state(state, yaw_rad, tick_ms))
        if tick % _ODOMETRY_EVERY == 0:
            stamp = self.get_clock().now().to_msg()
            position_m = self.robot.base_position_m
            self._odom.publish(self._messages.odometry(state, position_m, stamp, yaw_rad))
        if tick % round(_BATTERY_S / self._period_s) == 0:
            self._battery.publish(BmsState(soc=self.battery_percent, soh=100))


def main(args: list[str] | None = None) -> int:
    """Run the robot until a signal."""
    return simulated_process.run(SimulatedRobotNode, args)


if __name__ == "__main__":
    sys.exit(main())
