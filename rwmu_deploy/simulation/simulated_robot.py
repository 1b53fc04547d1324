"""One MuJoCo robot behind the port that the control loop uses for a real one.

J = joints, in RobotSpec order.
"""

# mujoco's compiled modules carry no types.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

import mujoco
import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import (
    JointCommand,
    RobotState,
    damping_command,
    position_command,
)
from rwmu_deploy.simulation.imu_errors import ImuErrors
from rwmu_deploy.simulation.robot_model import RobotModel
from rwmu_deploy.simulation.robot_variant import NOMINAL, RobotVariant
from rwmu_deploy.simulation.varied_model import model_of_robot

FloatArray = NDArray[np.float64]
CONTACT_FORCE_N = 1.0
"""A body is in contact above this force."""
MAX_CATCH_UP_S = 0.2
"""Twice the time after which a robot damps by itself, so that a long pause still shows."""
RESUME_AFTER = 3
"""Position commands in a row, after silence, before the robot follows them: one alone may be left
over from a process that was frozen for longer than the robot waits."""
# now_s is a sum of periods; its rounding must not cost a physics step.
_STEP_TOLERANCE = 1e-6
# Index of the one robot among those that a variant draws.
_ONLY = np.zeros(1, dtype=np.intp)


class SimulatedRobot:
    """A robot that stands by itself, follows joint commands, and damps when they stop coming.

    Before the first command its own controller holds the default pose. When no command came for
    `link_timeout_s` it damps, until the next damping command or the third of others in a row.
    Effort saturates in the actuators, at every physics step. A delay of the variant is that of the
    link: commands arrive later, whole.

    One that can't stand by itself hangs on a hoist until `hoist_s` after the first command.

    `send` may be called from any thread; `advance` and `reset` from one.

    Args:
        spec: The robot.
        start_s: Time on the clock that `advance` will be told.
        variant: How the robot differs from its model file.
        seed: Seed of what the variant draws.
        physics_dt_s: Of a physics step; its drives follow their gains once in each. None: the
            MJCF's.

    Raises:
        RobotSpecError: The model lacks something that the spec names, its gains differ, or a
            control period is no whole number of physics steps.
    """

    def __init__(
        self,
        spec: RobotSpec,
        *,
        start_s: float = 0.0,
        variant: RobotVariant = NOMINAL,
        seed: int = 0,
        physics_dt_s: float | None = None,
    ) -> None:
        self._spec = spec
        self._model = RobotModel(spec, variant, physics_dt_s=physics_dt_s)
        drawn = variant.draw(1, spec.joint_count, seed)
        friction, self._strength = drawn.ground_friction, drawn.actuator_strength[0]
        self._model.mj = model_of_robot(
            self._model.mj,
            self._model.joint_actuator,
            None if friction is None else float(friction[0]),
            self._strength,
        )
        self._encoder_bias_rad = drawn.encoder_bias_rad[0]
        self._imu = None if variant == NOMINAL else ImuErrors(variant, drawn, seed)
        self._data = mujoco.MjData(self._model.mj)
        self._dt_s = float(self._model.mj.opt.timestep)
        # Forces of the latest control period, one row a physics step.
        steps = self._model.steps_per(spec.control_dt_s)
        self._forces = np.zeros((steps, self._model.mj.nsensordata))
        self._start_s = start_s
        self._steps = 0
        self.dropped_s = 0.0
        """Time that `advance_in_real_time` left out."""
        self._own_stand = position_command(spec, spec.default_position_rad)
        self._own_damping = damping_command(spec, spec.default_position_rad)
        # The latest command, the step before which it came, and whether it is followed; one
        # reference, see `send`.
        self._received: tuple[JointCommand, int, bool] | None = None
        self._in_a_row = RESUME_AFTER
        self._hoist_steps = self._model.steps_per(spec.simulation.hoist_s)
        # Steps before which the base hangs; None: no command came yet.
        self._hangs_until: int | None = None
        # What `_received` was at each of the latest physics steps, as many as the delay has.
        self._delay_steps = self._model.steps_per(variant.actuation_delay_s)
        self._in_transit: deque[tuple[JointCommand, int, bool] | None] = deque()
        self.reset()

    @property
    def time_s(self) -> float:
        """Time on the clock up to which physics has been computed."""
        return self._start_s + self._steps * self._dt_s

    @property
    def total_mass_kg(self) -> float:
        return self._model.total_mass_kg

    @property
    def base_height_m(self) -> float:
        return float(self._data.qpos[2])

    @property
    def base_position_m(self) -> FloatArray:
        """Position of the base in the world, shape (3,)."""
        return self._data.qpos[:3].copy()

    @property
    def base_yaw_rad(self) -> float:
        """Heading of the base in the world."""
        w, x, y, z = (float(value) for value in self._data.qpos[3:7])
        return math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))

    @property
    def fell(self) -> bool:
        """Whether a termination body touched the ground in the latest control period."""
        return bool((self._forces[:, self._model.termination_sensor] > CONTACT_FORCE_N).any())

    def reset(self) -> None:
        """Put the robot down in its default pose, at rest, with its own controller."""
        mujoco.mj_resetData(self._model.mj, self._data)
        height_m = self._spec.simulation.initial_height_m
        self._data.qpos[:7] = (0.0, 0.0, height_m, 1.0, 0.0, 0.0, 0.0)
        self._data.qpos[self._model.joint_qpos] = self._spec.default_position_rad
        self._apply(self._own_stand)
        mujoco.mj_forward(self._model.mj, self._data)
        self._forces[:] = 0.0
        self._received = None
        self._in_a_row = RESUME_AFTER
        self._hangs_until = None
        self._in_transit = deque([None] * self._delay_steps)
        self._measure()

    def carry_to_origin(self) -> None:
        """Put the robot where it began, heading along x, as it is: in mid-step, if need be."""
        half = -0.5 * self.base_yaw_rad
        turn = np.array([math.cos(half), 0.0, 0.0, math.sin(half)])
        self._data.qpos[:2] = 0.0
        turned = np.zeros(4)
        mujoco.mju_mulQuat(turned, turn, self._data.qpos[3:7])
        self._data.qpos[3:7] = turned
        # Linear velocity is in the world's frame; the angular one in the robot's.
        velocity = np.zeros(3)
        mujoco.mju_rotVecQuat(velocity, self._data.qvel[:3], turn)
        self._data.qvel[:3] = velocity
        mujoco.mj_forward(self._model.mj, self._data)

    def advance(self, now_s: float) -> None:
        """Compute physics up to `now_s`, in whole steps, and measure.

        Raises:
            RobotLinkError: The time isn't finite, or the simulation became unstable.
        """
        _refuse_not_finite(now_s)
        target = math.floor((now_s - self._start_s) / self._dt_s + _STEP_TOLERANCE)
        if target <= self._steps:
            return
        while self._steps < target:
            self._apply(self._command_in_force())
            self._hang_or_let_go()
            mujoco.mj_step(self._model.mj, self._data)
            self._forces[self._steps % len(self._forces)] = self._data.sensordata
            self._steps += 1
        if self._data.warning[mujoco.mjtWarning.mjWARN_BADQACC].number > 0:
            raise RobotLinkError(
                f"the simulation became unstable at {self.time_s:.3f} s",
                fix="Reset the simulated robot, and look at what it was commanded.",
            )
        self._measure()

    def advance_in_real_time(self, now_s: float) -> None:
        """As `advance`, but compute at most `MAX_CATCH_UP_S` and drop the time before it.

        Where physics is slower than the clock, catching up takes longer than what is caught up
        with, and every call would last longer than the one before.

        Raises:
            RobotLinkError: As `advance`.
        """
        _refuse_not_finite(now_s)
        behind_s = now_s - self.time_s
        if behind_s > MAX_CATCH_UP_S:
            self.dropped_s += behind_s - MAX_CATCH_UP_S
            self.resume_at(now_s - MAX_CATCH_UP_S)
        self.advance(now_s)

    def resume_at(self, now_s: float) -> None:
        """Let the clock be at `now_s`, as if no time had passed since the latest `advance`.

        For the time that a caller spent otherwise, such as settling the robot in advance.

        Raises:
            RobotLinkError: The time isn't finite.
        """
        _refuse_not_finite(now_s)
        self._start_s = now_s - self._steps * self._dt_s
        self._state = replace(self._state, received_s=self.time_s)

    def latest_state(self) -> RobotState:
        """What was measured at the end of the latest `advance`."""
        return self._state

    def true_state(self) -> RobotState:
        """As `latest_state`, without errors of sensors."""
        return self._truth

    def send(self, command: JointCommand) -> None:
        """Follow a command from the next physics step on, or after the variant's delay.

        Raises:
            RobotLinkError: It isn't made of J finite values each, or a gain is negative.
        """
        parts = (command.position_rad, command.kp_nm_per_rad, command.kd_nms_per_rad)
        usable = all(
            np.shape(part) == (self._spec.joint_count,) and np.isfinite(part).all()
            for part in parts
        )
        if not (usable and min(parts[1].min(), parts[2].min()) >= 0.0):
            raise RobotLinkError(
                f"the robot refuses a command of shapes {[np.shape(part) for part in parts]} that "
                f"isn't finite, of {self._spec.joint_count} joints, with gains from 0 up",
                fix="Send only what the command limiter let through.",
            )
        before = self._received
        if before is not None and self._is_silent_since(before[1]):
            self._in_a_row = 0
        self._in_a_row += 1
        if self._hangs_until is None:
            self._hangs_until = self._steps + self._hoist_steps
        is_followed = command.is_damping or self._in_a_row >= RESUME_AFTER
        self._received = (command, self._steps, is_followed)

    def _hang_or_let_go(self) -> None:
        if self._model.hoist is not None:
            until = self._hangs_until
            self._data.eq_active[self._model.hoist] = until is None or self._steps < until

    def _command_in_force(self) -> JointCommand:
        self._in_transit.append(self._received)
        arrived = self._in_transit.popleft()
        if arrived is None:
            return self._own_stand
        command, received_step, is_followed = arrived
        is_silent = self._is_silent_since(received_step + self._delay_steps)
        return command if is_followed and not is_silent else self._own_damping

    def _is_silent_since(self, step: int) -> bool:
        return not (self._steps - step) * self._dt_s <= self._spec.link_timeout_s

    def _apply(self, command: JointCommand) -> None:
        # MuJoCo's position actuator: force = gain * ctrl + bias1 * q + bias2 * dq. The drive
        # regulates the position that its encoder reports: kp (target - (q + encoder bias)).
        actuator, mj = self._model.joint_actuator, self._model.mj
        self._data.ctrl[actuator] = command.position_rad - self._encoder_bias_rad
        kp, kd = self._strength * command.kp_nm_per_rad, self._strength * command.kd_nms_per_rad
        mj.actuator_gainprm[actuator, 0] = kp
        mj.actuator_biasprm[actuator, 1] = -kp
        mj.actuator_biasprm[actuator, 2] = -kd

    def _measure(self) -> None:
        truth = self._truth = self._true_state()
        self._state = truth
        if self._imu is None:
            return
        self._imu.renew()
        angular, gravity = truth.base_angular_velocity_radps, truth.projected_gravity
        self._state = replace(
            truth,
            base_angular_velocity_radps=self._imu.angular_velocity_radps(angular[None], _ONLY)[0],
            projected_gravity=self._imu.projected_gravity(gravity[None], _ONLY)[0],
            joint_position_rad=truth.joint_position_rad + self._encoder_bias_rad,
        )

    def _true_state(self) -> RobotState:
        model, qpos, qvel = self._model, self._data.qpos, self._data.qvel
        linear_mps, angular_radps, gravity = model.base_motion(qpos, qvel)
        touched = np.any(self._forces[:, model.contact_sensor] > CONTACT_FORCE_N, axis=0)
        return RobotState(
            base_linear_velocity_mps=linear_mps,
            base_angular_velocity_radps=angular_radps.copy(),
            projected_gravity=gravity,
            joint_position_rad=qpos[model.joint_qpos].copy(),
            joint_velocity_radps=qvel[model.joint_qvel].copy(),
            joint_torque_nm=self._data.sensordata[model.torque_sensor].copy(),
            contact=np.asarray(touched, dtype=np.float64),
            received_s=self.time_s,
            extension=model.extension(self._data.sensordata),
        )


def _refuse_not_finite(now_s: float) -> None:
    if not math.isfinite(now_s):
        raise RobotLinkError(
            f"the simulated robot can't be advanced to {now_s} s", fix="Give a finite time."
        )
