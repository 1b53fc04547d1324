"""What a LowState measures, by joint name and in SI units. J = joints, in RobotSpec order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.joint_map import JointMap
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import FloatArray, RobotState, gravity_in_base
from rwmu_deploy.robots.unitree.frames import LOW_STATE, Frame, opened
from rwmu_deploy.robots.unitree.motor_order import MOTOR_NAMES, refuse_other_joints

QUATERNION_NORM = (0.98, 1.02)
"""A quaternion of zeros would read as upright."""


@dataclass(frozen=True)
class LowState:
    """One frame, all of whose measurements are finite. Vectors are float64."""

    joint_position_rad: FloatArray
    """Shape (J,)."""
    joint_velocity_radps: FloatArray
    """Shape (J,)."""
    joint_torque_nm: FloatArray
    """The motors' own estimate, shape (J,)."""
    casing_temperature_c: FloatArray
    """Shape (J,)."""
    winding_temperature_c: FloatArray
    """Shape (J,)."""
    projected_gravity: FloatArray
    """Unit vector of gravity in the pelvis frame, shape (3,)."""
    base_angular_velocity_radps: FloatArray
    """Pelvis frame, shape (3,)."""
    base_acceleration_mps2: FloatArray
    """Of the pelvis IMU, gravity included (at rest upright: 9.81 along z), shape (3,)."""
    tick_ms: int
    """The robot's own time; it wraps at 2**32."""
    mode_pr: int
    mode_machine: int
    remote: bytes
    """The remote's 40 bytes, for `read_remote`."""

    @property
    def tick_s(self) -> float:
        """The robot's own time."""
        return self.tick_ms / 1000.0

    def robot_state(
        self,
        base_linear_velocity_mps: FloatArray,
        contact: FloatArray,
        received_s: float,
        extension: FloatArray | None = None,
    ) -> RobotState:
        """The runtime's measurements, with those that this robot has no sensor for.

        Args:
            base_linear_velocity_mps: Pelvis frame, shape (3,).
            contact: In the order of RobotSpec.contact_names.
            received_s: Monotonic time at which the oldest part arrived.
            extension: In the order of RobotSpec.extension_names; None: nobody measures it.

        Raises:
            RobotLinkError: What was added is not finite, or the velocity isn't three numbers.
        """
        extension = np.zeros(0) if extension is None else extension
        added = {"velocity": base_linear_velocity_mps, "contact": contact, "extension": extension}
        for name, values in added.items():
            if not np.isfinite(values).all():
                raise RobotLinkError(
                    f"{name} beside a LowState is {np.asarray(values).tolist()}; allowed are "
                    "finite numbers",
                    fix="Look at what estimates it.",
                )
        if np.shape(base_linear_velocity_mps) != (3,):
            raise RobotLinkError(
                f"velocity beside a LowState has shape {np.shape(base_linear_velocity_mps)}; "
                "allowed is (3,)",
                fix="Give x, y and z in the pelvis frame.",
            )
        return RobotState(
            base_linear_velocity_mps=np.asarray(base_linear_velocity_mps, dtype=np.float64),
            base_angular_velocity_radps=self.base_angular_velocity_radps,
            projected_gravity=self.projected_gravity,
            joint_position_rad=self.joint_position_rad,
            joint_velocity_radps=self.joint_velocity_radps,
            joint_torque_nm=self.joint_torque_nm,
            contact=np.asarray(contact, dtype=np.float64),
            received_s=received_s,
            extension=np.asarray(extension, dtype=np.float64),
        )


class LowStateReader:
    """Reads frames of one robot.

    Args:
        spec: Joint names and their order.

    Raises:
        RobotSpecError: Its joints are not those of the motors.
    """

    def __init__(self, spec: RobotSpec) -> None:
        refuse_other_joints(spec)
        self._names = spec.joint_names
        self._to_spec = JointMap(MOTOR_NAMES, spec.joint_names, source="LowState")

    def read(self, data: bytes) -> LowState:
        """The measurements of a frame's bytes.

        Raises:
            RobotLinkError: Another size, a wrong checksum, or what `decode` refuses.
        """
        return self.decode(opened(data, LOW_STATE, "LowState"))

    def decode(self, frame: Frame) -> LowState:
        """The measurements of a frame whose checksum was found to fit.

        Unused motors, `ddq`, `vol` and `rpy` are not looked at.

        Raises:
            RobotLinkError: A measurement is not finite, or the quaternion's length is not 1.
        """
        motors, imu = frame["motor_state"], frame["imu_state"]
        position, velocity, torque = (
            self._motors(motors[name]) for name in ("q", "dq", "tau_est")
        )
        quaternion, gyroscope, acceleration = (
            np.asarray(imu[name], dtype=np.float64)
            for name in ("quaternion", "gyroscope", "accelerometer")
        )
        for name, values in (("q", position), ("dq", velocity), ("tau_est", torque)):
            for index in np.flatnonzero(~np.isfinite(values)):
                raise _refusal(f"{name} of {self._names[index]}", values[index], "a finite number")
        for name, values in (("gyroscope", gyroscope), ("accelerometer", acceleration)):
            if not np.isfinite(values).all():
                raise _refusal(name, values.tolist(), "three finite numbers")
        norm = float(np.linalg.norm(quaternion))
        if not QUATERNION_NORM[0] <= norm <= QUATERNION_NORM[1]:
            raise _refusal("quaternion (wxyz)", quaternion.tolist(), "four numbers of length 1")
        temperature = motors["temperature"]
        return LowState(
            joint_position_rad=position,
            joint_velocity_radps=velocity,
            joint_torque_nm=torque,
            casing_temperature_c=self._motors(temperature[:, 0]),
            winding_temperature_c=self._motors(temperature[:, 1]),
            projected_gravity=gravity_in_base(quaternion / norm),
            base_angular_velocity_radps=gyroscope,
            base_acceleration_mps2=acceleration,
            tick_ms=int(frame["tick"]),
            mode_pr=int(frame["mode_pr"]),
            mode_machine=int(frame["mode_machine"]),
            remote=frame["wireless_remote"].tobytes(),
        )

    def _motors(self, values: NDArray[np.generic]) -> FloatArray:
        return self._to_spec(values[: len(MOTOR_NAMES)].astype(np.float64))


def _refusal(name: str, value: object, allowed: str) -> RobotLinkError:
    return RobotLinkError(
        f"LowState's {name} is {value}; allowed is {allowed}",
        fix="Don't use the frame; where it stays so, look at that sensor.",
    )
