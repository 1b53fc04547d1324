"""Thousands of simulated robots, stepped together by MuJoCo's rollout threads.

N = robots, S = state size, A = action size, K = contacts, X = extension columns. All joints in
RobotSpec order.
"""

# mujoco's compiled modules carry no types.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from mujoco import rollout
from numpy.typing import NDArray

from rwmu_deploy.contract.action import action_bounds, target_from_action
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.simulation.imu_errors import ImuErrors
from rwmu_deploy.simulation.robot_model import RobotModel
from rwmu_deploy.simulation.robot_variant import NOMINAL, RobotVariant
from rwmu_deploy.simulation.varied_model import model_of_robot

FloatArray = NDArray[np.float64]

CONTACT_THRESHOLD_N = 1.0
"""A body is in contact above this normal force (Isaac Lab's velocity task)."""
CONTACT_MEMORY_STEPS = 3
"""Physics steps over which the largest force counts (Isaac Lab's contact sensor history)."""


@dataclass(frozen=True)
class ResetRange:
    """How robots are put down at the start of an episode."""

    base_velocity: float
    """Half width of the uniform range of each linear [m/s] and angular [rad/s] base velocity."""
    joint_factor: tuple[float, float]
    """Each joint starts at its default position times a factor from this range."""

    @classmethod
    def of(cls, spec: RobotSpec) -> ResetRange:
        """What the robot.yaml says."""
        return cls(spec.simulation.reset_velocity, spec.simulation.reset_joint_factor)


@dataclass(frozen=True)
class BatchOutcome:
    """What all robots measure after a control step."""

    state: FloatArray
    """Shape (N, S)."""
    true_state: FloatArray
    """Without errors of sensors, shape (N, S)."""
    contact: FloatArray
    """0 or 1, shape (N, K)."""
    extension: FloatArray
    """Shape (N, X)."""
    fell: NDArray[np.bool_]
    """A termination body touched the ground, the physics diverged, or the action was not a number.
    Shape (N,)."""


class RobotBatch:
    """Simulated robots that never wait for one another.

    Args:
        spec: The robot.
        count: N.
        seed: Seed of initial states and of what the variant draws.
        threads: Rollout threads; all processors when None.
        reset_range: Spread of initial states; the robot.yaml's when None.
        variant: How the robots differ from their model file.
    """

    def __init__(
        self,
        spec: RobotSpec,
        count: int,
        *,
        seed: int,
        threads: int | None = None,
        reset_range: ResetRange | None = None,
        variant: RobotVariant = NOMINAL,
    ) -> None:
        if count < 1:
            raise ConfigError(f"{count} simulated robots; allowed is 1 up", fix="Ask for more.")
        self.spec = spec
        self.count = count
        self.model = RobotModel(spec, variant)
        self.drawn = variant.draw(count, spec.joint_count, seed)
        """What the variant drew for each robot."""
        self._imu = ImuErrors(variant, self.drawn, seed)
        self._has_sensor_errors = variant != NOMINAL
        self._columns = TransitionColumns.of(spec)
        self._reset_range = reset_range or ResetRange.of(spec)
        self._rng = np.random.default_rng(seed)
        self._action_lower, self._action_upper = action_bounds(spec)
        self._models = self._model_of_each_robot()
        threads = threads or os.cpu_count() or 1
        self._rollout = rollout.Rollout(nthread=threads)
        mj = self.model.mj
        self._data = [mujoco.MjData(mj) for _ in range(threads)]
        self._substeps = self.model.steps_per(spec.control_dt_s)
        size = mujoco.mj_stateSize(mj, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        self._physics = np.zeros((count, size))
        self._trajectory = np.zeros((count, self._substeps, size))
        self._sensors = np.zeros((count, self._substeps, mj.nsensordata))
        self._control = np.zeros((count, self._substeps, mj.nu))
        # Targets on their way to the drives, one a physics step.
        delay_steps = self.model.steps_per(variant.actuation_delay_s)
        self._delayed_rad = np.zeros((count, delay_steps, spec.joint_count))
        # Targets that the drives hold now.
        self._held_rad = np.zeros((count, spec.joint_count))
        self._qpos = slice(1, 1 + mj.nq)
        self._qvel = slice(1 + mj.nq, 1 + mj.nq + mj.nv)
        self._imu.renew()
        self.reset(np.arange(count))

    def reset(self, index: NDArray[np.intp]) -> None:
        """Put robots down anew: default pose with spread, random yaw and base velocity.

        Until its first command arrives, a robot's drives hold the default pose.
        """
        if len(index) == 0:
            return
        spec, wide, n = self.spec, self._reset_range, len(index)
        qpos = np.zeros((n, self.model.mj.nq))
        qvel = np.zeros((n, self.model.mj.nv))
        yaw = self._rng.uniform(-np.pi, np.pi, n)
        qpos[:, 2] = spec.simulation.initial_height_m
        qpos[:, 3], qpos[:, 6] = np.cos(yaw / 2), np.sin(yaw / 2)
        factor = self._rng.uniform(*wide.joint_factor, (n, spec.joint_count))
        joints = np.clip(spec.default_position_rad * factor, spec.lower_rad, spec.upper_rad)
        qpos[:, self.model.joint_qpos] = joints
        qvel[:, :6] = self._rng.uniform(-wide.base_velocity, wide.base_velocity, (n, 6))
        self._physics[index] = 0.0
        self._physics[index, self._qpos] = qpos
        self._physics[index, self._qvel] = qvel
        self._delayed_rad[index] = spec.default_position_rad
        self._held_rad[index] = spec.default_position_rad

    def take_over(self, other: RobotBatch) -> None:
        """Go on where the robots of another batch are: their motion, and targets on their way.

        What differs from there on is what the variants differ in. Where this batch's delay is
        longer, the drives first hold what they hold there; where it is shorter, the oldest targets
        on their way are lost.

        Raises:
            ConfigError: The other batch is of another robot, or of another number.
        """
        if (self.spec.sha256, self.count) != (other.spec.sha256, other.count):
            raise ConfigError(
                f"{other.count} simulated '{other.spec.name}' can't be taken over; allowed are "
                f"{self.count} '{self.spec.name}'",
                fix="Make both batches of one robot and one size.",
            )
        self._physics[:] = other._physics
        self._held_rad[:] = other._held_rad
        delay_steps = self._delayed_rad.shape[1]
        held = np.repeat(other._held_rad[:, None], delay_steps, axis=1)
        on_their_way = np.concatenate([held, other._delayed_rad], axis=1)
        self._delayed_rad[:] = on_their_way[:, on_their_way.shape[1] - delay_steps :]

    def push(self, index: NDArray[np.intp], velocity_xy_mps: FloatArray) -> None:
        """Add a horizontal world-frame velocity to robots' bases; shape (len(index), 2)."""
        self._physics[index, self._qvel.start] += velocity_xy_mps[:, 0]
        self._physics[index, self._qvel.start + 1] += velocity_xy_mps[:, 1]

    def state(self, index: NDArray[np.intp] | None = None) -> FloatArray:
        """Measured state as it is now, with torque 0; shape (len(index), S), all when None."""
        rows = np.arange(self.count) if index is None else index
        torque_nm = np.zeros((len(rows), self.spec.joint_count))
        return self._measured(self._true_state(rows, torque_nm), rows)

    def step(self, action: NDArray[np.floating]) -> BatchOutcome:
        """Hold the targets of `action` (N, A), clipped to the joint limits, for a control step."""
        # Such a robot has fallen; until it is put down anew, its drives hold the default pose.
        # MuJoCo would take the target for 0, with a warning for each.
        lost = ~np.isfinite(action).all(axis=1)
        clipped = np.clip(action, self._action_lower, self._action_upper)
        clipped[lost] = 0.0
        self._send(target_from_action(self.spec, clipped))
        # All shapes are right by construction; checking N models costs as much as the policy.
        self._rollout.rollout(
            self._models,
            self._data,
            self._physics,
            self._control,
            nstep=self._substeps,
            skip_checks=True,
            state=self._trajectory,
            sensordata=self._sensors,
        )
        self._physics[:] = self._trajectory[:, -1]
        # A force that is not a number must not read as "no contact".
        diverged = np.logical_not(np.isfinite(self._physics).all(axis=1))
        diverged |= ~np.isfinite(self._sensors).all(axis=(1, 2))
        if diverged.any():
            self.reset(np.flatnonzero(diverged))
        forces = self._sensors[:, -CONTACT_MEMORY_STEPS:]
        touching = np.nan_to_num(forces).max(axis=1) > CONTACT_THRESHOLD_N
        latest = np.where(diverged[:, None], 0.0, self._sensors[:, -1])
        torque = latest[:, self.model.torque_sensor]
        self._imu.renew()
        everyone = np.arange(self.count)
        true_state = self._true_state(everyone, torque)
        return BatchOutcome(
            state=self._measured(true_state, everyone),
            true_state=true_state,
            contact=touching[:, self.model.contact_sensor].astype(np.float64),
            extension=self.model.extension(latest),
            fell=touching[:, self.model.termination_sensor].any(axis=1) | diverged | lost,
        )

    @property
    def base_position_m(self) -> FloatArray:
        """World position of the bases, shape (N, 3)."""
        return self._physics[:, self._qpos][:, :3].copy()

    @property
    def generalised_position(self) -> FloatArray:
        """MuJoCo's qpos of the robots, shape (N, nq); for pictures."""
        return self._physics[:, self._qpos].copy()

    def close(self) -> None:
        """End the rollout threads."""
        self._rollout.close()

    def __enter__(self) -> RobotBatch:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _model_of_each_robot(self) -> list[mujoco.MjModel]:
        """One model a robot; robots of equal friction and actuators share theirs."""
        friction, strength = self.drawn.ground_friction, self.drawn.actuator_strength
        shared: dict[tuple[float | None, bytes], mujoco.MjModel] = {}
        models: list[mujoco.MjModel] = []
        for robot in range(self.count):
            level = None if friction is None else float(friction[robot])
            kind = level, strength[robot].tobytes()
            if kind not in shared:
                shared[kind] = model_of_robot(
                    self.model.mj, self.model.joint_actuator, level, strength[robot]
                )
            models.append(shared[kind])
        return models

    def _send(self, target_rad: FloatArray) -> None:
        """Give the drives the targets (N, J), or what a delay lets through of them."""
        joints = self.model.joint_actuator
        delay_steps = self._delayed_rad.shape[1]
        if delay_steps:
            held = np.repeat(target_rad[:, None], self._substeps, axis=1)
            queue = np.concatenate([self._delayed_rad, held], axis=1)
            self._control[:, :, joints] = queue[:, : self._substeps]
            self._held_rad = queue[:, self._substeps - 1]
            self._delayed_rad = queue[:, self._substeps :]
        else:
            self._control[:, :, joints] = target_rad[:, None]
            self._held_rad = target_rad
        # kp (target - (q + bias)): the drive regulates the position that its encoder reports.
        self._control[:, :, joints] -= self.drawn.encoder_bias_rad[:, None]

    def _true_state(self, rows: NDArray[np.intp], torque_nm: FloatArray) -> FloatArray:
        qpos, qvel = self._physics[rows, self._qpos], self._physics[rows, self._qvel]
        linear, angular, gravity = self.model.base_motion(qpos, qvel)
        return np.concatenate(
            [
                linear,
                angular,
                gravity,
                qpos[:, self.model.joint_qpos] - self.spec.default_position_rad,
                qvel[:, self.model.joint_qvel],
                torque_nm,
            ],
            axis=1,
        )

    def _measured(self, true_state: FloatArray, rows: NDArray[np.intp]) -> FloatArray:
        if not self._has_sensor_errors:
            return true_state
        measured, columns = true_state.copy(), self._columns
        for block, error in (
            (columns.base_angular_velocity_radps, self._imu.angular_velocity_radps),
            (columns.projected_gravity, self._imu.projected_gravity),
        ):
            measured[:, block.slice] = error(true_state[:, block.slice], rows)
        measured[:, columns.joint_position_offset_rad.slice] += self.drawn.encoder_bias_rad[rows]
        return measured
