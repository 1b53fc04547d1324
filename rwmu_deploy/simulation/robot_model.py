"""A RobotSpec's MuJoCo model, with every joint, actuator and sensor found by name."""

# mujoco's compiled modules carry no types.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Iterable

import mujoco
import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import RobotSpecError
from rwmu_deploy.contract.foot_columns import foot_columns
from rwmu_deploy.contract.robot_spec import RobotSpec, robot_folder
from rwmu_deploy.contract.robot_state import gravity_in_base
from rwmu_deploy.contract.vector_product import cross
from rwmu_deploy.simulation.robot_variant import NOMINAL, RobotVariant
from rwmu_deploy.simulation.varied_model import vary_model

FloatArray = NDArray[np.float64]


class RobotModel:
    """Index tables between RobotSpec order and MuJoCo's arrays.

    J = joints, K = contacts, X = extension columns.

    Args:
        spec: The robot; its MJCF lies beside its robot.yaml.
        variant: Masses and drives; friction is not a matter of this class.
        physics_dt_s: Of a physics step; None: the MJCF's.

    Raises:
        RobotSpecError: The model lacks something that the spec names, or its gains differ.
    """

    def __init__(
        self,
        spec: RobotSpec,
        variant: RobotVariant = NOMINAL,
        *,
        physics_dt_s: float | None = None,
    ) -> None:
        path = robot_folder(spec.name) / spec.simulation.mjcf
        if not path.is_file():
            raise RobotSpecError(f"there is no file {path}", fix="Add the MJCF that it names.")
        self.spec = spec
        self.mj = mujoco.MjModel.from_xml_path(str(path))
        # A diverged robot must be seen to have diverged, not be put back in silence.
        self.mj.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
        if physics_dt_s is not None:
            if not 0.0 < physics_dt_s < np.inf:
                raise RobotSpecError(
                    f"physics_dt_s is {physics_dt_s} s; allowed is a finite time above 0",
                    fix="Choose one that fits into the control period, such as 0.002.",
                )
            self.mj.opt.timestep = physics_dt_s
        self._path = str(path)
        joints = [self._id(mujoco.mjtObj.mjOBJ_JOINT, name) for name in spec.joint_names]
        self.joint_qpos = self.mj.jnt_qposadr[joints].astype(np.intp)
        """qpos address of every joint, shape (J,)."""
        self.joint_qvel = self.mj.jnt_dofadr[joints].astype(np.intp)
        """qvel address of every joint, shape (J,)."""
        self.joint_actuator = np.array(
            [self._id(mujoco.mjtObj.mjOBJ_ACTUATOR, name) for name in spec.joint_names],
            dtype=np.intp,
        )
        """Actuator of every joint, shape (J,)."""
        self.torque_sensor = self._sensors(f"{name}_torque" for name in spec.joint_names)
        self.contact_sensor = self._sensors(f"{name}_touch" for name in spec.contact_names)
        self.termination_sensor = self._sensors(f"{n}_touch" for n in spec.termination_bodies)
        hangs = spec.simulation.hoist_s > 0.0
        self.hoist = self._id(mujoco.mjtObj.mjOBJ_EQUALITY, "hoist") if hangs else None
        """Equality that holds the base in place, if the robot can't stand by itself."""
        self._foot_columns = foot_columns(spec)
        if self._foot_columns is not None:
            self._foot_position = self._sensors(f"{name}_position" for name in spec.foot_names)
            self._foot_velocity = self._sensors(f"{name}_velocity" for name in spec.foot_names)
        self._refuse_other_gains()
        if variant != NOMINAL:
            carries = variant.payload_mass_kg > 0.0
            site = self._id(mujoco.mjtObj.mjOBJ_SITE, "payload") if carries else None
            vary_model(self.mj, variant, self.joint_qvel, site)

    @property
    def total_mass_kg(self) -> float:
        """Mass of everything that moves."""
        return float(self.mj.body_mass.sum())

    def steps_per(self, duration_s: float) -> int:
        """Physics steps in a duration; 0 only in 0 s.

        Raises:
            RobotSpecError: The duration is not a whole number of physics steps.
        """
        steps = duration_s / self.mj.opt.timestep
        whole = abs(steps - round(steps)) <= 1e-6 and (round(steps) >= 1 or duration_s == 0.0)
        if not whole:
            raise RobotSpecError(
                f"{duration_s} s is not a whole number of physics steps of "
                f"{self.mj.opt.timestep} s of {self._path}",
                fix="Choose a timestep that fits in.",
            )
        return round(steps)

    def base_motion(
        self, qpos: FloatArray, qvel: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Linear velocity of the base's centre of mass, angular velocity, gravity; base frame.

        MuJoCo's free joint holds the world-frame velocity of the body's origin and the body-frame
        angular velocity.

        Args:
            qpos: Shape (..., nq).
            qvel: Shape (..., nv).
        """
        quaternion, angular = qpos[..., 3:7], qvel[..., 3:6]
        com = np.array(self.spec.simulation.base_com_in_base_m)
        linear = rotate_inverse(quaternion, qvel[..., 0:3]) + cross(angular, com)
        return linear, angular, gravity_in_base(quaternion)

    def extension(self, sensors: FloatArray) -> FloatArray:
        """Extension columns of sensor values (..., nsensordata), shape (..., X).

        As the torques, they are those at the beginning of a physics step.
        """
        columns = self._foot_columns
        extension = np.zeros((*sensors.shape[:-1], len(self.spec.extension_names)))
        if columns is not None:
            x, y = (sensors[..., self._foot_velocity + axis] for axis in (0, 1))
            extension[..., columns.height_m] = sensors[..., self._foot_position + 2]
            extension[..., columns.speed_mps] = np.hypot(x, y)
        return extension

    def _id(self, kind: mujoco.mjtObj, name: str) -> int:
        index = mujoco.mj_name2id(self.mj, kind, name)
        if index < 0:
            raise RobotSpecError(
                f"{self._path} has no {kind.name.removeprefix('mjOBJ_').lower()} '{name}'",
                fix="Name it there as in robot.yaml.",
            )
        return index

    def _sensors(self, names: Iterable[str]) -> NDArray[np.intp]:
        ids = [self._id(mujoco.mjtObj.mjOBJ_SENSOR, name) for name in names]
        return self.mj.sensor_adr[ids].astype(np.intp)

    def _refuse_other_gains(self) -> None:
        spec, act = self.spec, self.joint_actuator
        found = {
            "kp_nm_per_rad": self.mj.actuator_gainprm[act, 0],
            "kd_nms_per_rad": -self.mj.actuator_biasprm[act, 2],
            "effort_limit_nm": self.mj.actuator_forcerange[act, 1],
        }
        for field, values in found.items():
            wanted = getattr(spec, field)
            for name, value, want in zip(spec.joint_names, values, wanted, strict=True):
                if not abs(value - want) <= 1e-9:
                    raise RobotSpecError(
                        f"joint {name} {field}: {self._path} has {value}, robot.yaml {want}",
                        fix="Make them equal; a policy is trained with one set of gains.",
                    )


def rotate_inverse(quaternion_wxyz: FloatArray, vector: FloatArray) -> FloatArray:
    """Bring world vectors (..., 3) into the frames of unit quaternions (..., 4)."""
    w, axis = quaternion_wxyz[..., :1], quaternion_wxyz[..., 1:]
    t = 2.0 * cross(vector, axis)
    return vector + w * t + cross(t, axis)
