"""A joint command as the LowCmd that the robot obeys. J = joints, in RobotSpec order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.joint_map import JointMap
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import FloatArray, JointCommand
from rwmu_deploy.robots.unitree.frames import LOW_COMMAND, blank, sealed
from rwmu_deploy.robots.unitree.motor_order import MOTOR_NAMES, refuse_other_joints

MODE_PR = 0
"""Ankles and waist are commanded as pitch and roll, not as their two parallel motors."""
MOTOR_ENABLED = 1


class LowCommandWriter:
    """Writes frames for one robot.

    Args:
        spec: Joint names and their order.

    Raises:
        RobotSpecError: Its joints are not those of the motors.
    """

    def __init__(self, spec: RobotSpec) -> None:
        refuse_other_joints(spec)
        self._names = spec.joint_names
        self._to_motors = JointMap(spec.joint_names, MOTOR_NAMES, source=f"robot {spec.name}")

    def frame(self, command: JointCommand, mode_machine: int) -> bytes:
        """The frame of a command: 29 motors enabled, the rest off, checksum last.

        A damping command sends position 0, which nothing follows without a position gain: so it
        goes out whatever its positions are.

        Args:
            command: What the joints are told.
            mode_machine: Of the newest LowState; the robot ignores commands with another.

        Raises:
            RobotLinkError: A number is not finite (as float32), a gain is below 0, a length is
                not J, or mode_machine doesn't fit its byte.
        """
        if not (isinstance(mode_machine, int) and 0 <= mode_machine <= 255):
            raise RobotLinkError(
                f"mode_machine is {mode_machine!r}; allowed is an integer from 0 to 255",
                fix="Echo that of the newest LowState.",
            )
        kp = self._motors("kp", command.kp_nm_per_rad, lowest=0.0)
        kd = self._motors("kd", command.kd_nms_per_rad, lowest=0.0)
        frame = blank(LOW_COMMAND)
        frame["mode_pr"], frame["mode_machine"] = MODE_PR, mode_machine
        motors = frame["motor_cmd"][: len(MOTOR_NAMES)]
        motors["mode"] = MOTOR_ENABLED
        if not command.is_damping:
            motors["q"] = self._motors("position", command.position_rad, lowest=-np.inf)
        motors["kp"], motors["kd"] = kp, kd
        return sealed(frame)

    def _motors(self, field: str, values: FloatArray, lowest: float) -> NDArray[np.float32]:
        if np.shape(values) != (len(self._names),):
            raise RobotLinkError(
                f"{field} of a command has shape {np.shape(values)}; allowed is "
                f"({len(self._names)},)",
                fix="Send one value for every joint of robot.yaml.",
            )
        with np.errstate(over="ignore"):
            carried = np.asarray(values, dtype=np.float64).astype(np.float32)
        # NaN fails the comparison too.
        usable = np.isfinite(carried) & (carried >= lowest)
        if not usable.all():
            index = int(np.argmin(usable))
            raise RobotLinkError(
                f"{field} of {self._names[index]} is {values[index]}; allowed is a finite number"
                + ("" if lowest == -np.inf else f" from {lowest:g}"),
                fix="Send damping, and look at where the command comes from.",
            )
        return self._to_motors(carried.astype(np.float64)).astype(np.float32)
