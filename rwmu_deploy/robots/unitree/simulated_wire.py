"""What a simulated robot says and hears in Unitree's messages, byte for byte as the real one."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import JointCommand, RobotState
from rwmu_deploy.robots.unitree.cdr import from_cdr, to_cdr
from rwmu_deploy.robots.unitree.frames import (
    LOW_COMMAND,
    LOW_STATE,
    blank,
    refuse_wrong_checksum,
    sealed,
)
from rwmu_deploy.robots.unitree.low_command import MODE_PR, MOTOR_ENABLED
from rwmu_deploy.robots.unitree.motor_order import motor_of_joint
from rwmu_deploy.robots.unitree.remote import SIZE
from rwmu_deploy.runtime.safety_monitor import roll_pitch_rad

REMOTE_AT_REST = bytes((0x55, 0x51)) + bytes(SIZE - 2)
"""A remote that is on and not touched: its first two bytes are a mark, not a button."""
_CASING_C, _WINDING_C = 40, 50


def quaternion_wxyz(projected_gravity: NDArray[np.float64], yaw_rad: float) -> tuple[float, ...]:
    """Orientation from the direction of gravity and the heading."""
    roll_rad, pitch_rad = roll_pitch_rad(projected_gravity)
    (sr, cr), (sp, cp), (sy, cy) = (
        (math.sin(angle / 2.0), math.cos(angle / 2.0)) for angle in (roll_rad, pitch_rad, yaw_rad)
    )
    return (
        cr * cp * cy + sr * sp * sy,
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
    )


class SimulatedWire:
    """The messages of one simulated robot.

    Args:
        spec: The robot.
        mode_machine: What hardware it says it is.

    Raises:
        RobotSpecError: Its joints are not those of the motors.
    """

    def __init__(self, spec: RobotSpec, mode_machine: int) -> None:
        self._motor = motor_of_joint(spec)
        self._mode_machine = mode_machine
        self._frame = blank(LOW_STATE)
        self._frame["mode_pr"] = MODE_PR
        self._frame["mode_machine"] = mode_machine
        self._frame["motor_state"]["mode"][self._motor] = MOTOR_ENABLED
        self._frame["motor_state"]["temperature"][self._motor] = (_CASING_C, _WINDING_C)
        self.remote = REMOTE_AT_REST
        self.refused: Counter[str] = Counter()
        """Commands that the robot did not follow."""

    def low_state(self, state: RobotState, yaw_rad: float, tick_ms: int) -> bytes:
        """LowState of a measurement, as DDS carries it."""
        frame = self._frame
        frame["tick"] = tick_ms % 2**32
        frame["wireless_remote"] = np.frombuffer(self.remote, dtype=np.uint8)
        motors, imu = frame["motor_state"], frame["imu_state"]
        motors["q"][self._motor] = state.joint_position_rad
        motors["dq"][self._motor] = state.joint_velocity_radps
        motors["tau_est"][self._motor] = state.joint_torque_nm
        imu["quaternion"] = quaternion_wxyz(state.projected_gravity, yaw_rad)
        imu["gyroscope"] = state.base_angular_velocity_radps
        # At rest; the simulation does not say how the pelvis is accelerated.
        imu["accelerometer"] = -9.81 * state.projected_gravity
        return to_cdr(sealed(frame), LOW_STATE)

    def command(self, data: bytes) -> JointCommand | None:
        """What a LowCmd tells the joints; None where the robot ignores it, as the real one does.

        A motor that is not enabled gets no gains.
        """
        try:
            frame = from_cdr(data, LOW_COMMAND, "LowCmd")
            refuse_wrong_checksum(frame, "LowCmd")
        except RobotLinkError:
            self.refused["crc"] += 1
            return None
        if int(frame["mode_machine"]) != self._mode_machine:
            self.refused["mode_machine"] += 1
            return None
        if int(frame["mode_pr"]) != MODE_PR:
            self.refused["mode_pr"] += 1
            return None
        motors = frame["motor_cmd"][self._motor]
        enabled = motors["mode"] == MOTOR_ENABLED
        return JointCommand(
            motors["q"].astype(np.float64),
            np.where(enabled, motors["kp"], 0.0).astype(np.float64),
            np.where(enabled, motors["kd"], 0.0).astype(np.float64),
        )
