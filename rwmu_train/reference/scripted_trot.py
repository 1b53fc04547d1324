"""A trot by script: the first behaviour, from which online PPO starts.

Diagonal pairs of feet swing in turn. Feet on the ground move against the commanded velocity and
carry the weight by feed-forward torques; feet in the air land further out the faster the robot
moves away from its command (Raibert, Legged Robots That Balance, 1986).
From random weights the first thing that PPO finds is how to stand still.
N = robots, J = joints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_train.environment.simulated_dynamics import SimulatedDynamics
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.policy.behaviour_cloning import Demonstrations
from rwmu_train.reference.foot_inverse import fit_legs
from rwmu_train.task.velocity_task import (
    EpisodeTiming,
    ObservationNoise,
    RewardShape,
    VelocityTask,
)

FloatArray = NDArray[np.float64]

GRAVITY_MPS2 = 9.81


@dataclass(frozen=True)
class TrotSettings:
    """Shape of the gait; found by trying on the simulated ANYmal D."""

    period_s: float = 0.34
    lift_m: float = 0.12
    """How high feet swing."""
    weight_share: float = 0.7
    """Share of the weight that the two feet on the ground carry by feed-forward torques."""
    lead_s: float = 0.06
    """Joints lag their targets by this (damping over position gain); targets run ahead of it."""
    command_gain: tuple[float, float, float] = (1.25, 1.0, 1.3)
    """How much more than the command (vx, vy, wz) is stepped, for feet slip."""
    landing_gain_s: tuple[float, float, float] = (0.4, 0.1, 0.3)
    """How much further out feet land per velocity error in x, y and yaw."""
    velocity_filter: float = 0.3
    """Share of the newest velocity in the filtered one, a control step."""


class ScriptedTrot:
    """Actions of N trotting robots. Call `action` once a control step."""

    def __init__(
        self, spec: RobotSpec, start_s: FloatArray, settings: TrotSettings | None = None
    ) -> None:
        """Begin at the times `start_s` (N,) in the gait."""
        self._spec, self._settings = spec, settings or TrotSettings()
        self._columns = TransitionColumns.of(spec)
        self._legs = fit_legs(spec)
        self._half_cycle = [
            0.0 if leg.foot_in_base_m[:2].prod() > 0.0 else 0.5 for leg in self._legs
        ]
        self._time_s = np.array(start_s, dtype=np.float64)
        self._velocity = np.zeros((len(start_s), 3))
        with RobotBatch(spec, 1, seed=0, threads=1) as robot:
            self._weight_n = robot.model.total_mass_kg * GRAVITY_MPS2

    def action(self, state: NDArray[np.floating], command: NDArray[np.floating]) -> FloatArray:
        """Actions, shape (N, J).

        Args:
            state: States, shape (N, S).
            command: vx [m/s], vy [m/s], wz [rad/s], shape (N, 3).
        """
        gait, step_s = self._settings, 0.01
        linear = state[:, self._columns.base_linear_velocity_mps.slice]
        yaw_rate = state[:, self._columns.base_angular_velocity_radps.slice][:, 2:]
        newest = np.concatenate([linear[:, :2], yaw_rate], axis=1)
        self._velocity += gait.velocity_filter * (newest - self._velocity)
        before, now, after = (
            self._joint_offset_rad(self._time_s + shift, np.asarray(command, dtype=np.float64))
            for shift in (-step_s, 0.0, step_s)
        )
        self._time_s = self._time_s + self._spec.control_dt_s
        ahead = now + gait.lead_s * (after - before) / (2.0 * step_s)
        return ahead / self._spec.action_scale

    def restart(self, index: NDArray[np.intp]) -> None:
        """Forget the velocity of robots that were put down anew."""
        self._velocity[index] = 0.0

    def _joint_offset_rad(self, time_s: FloatArray, command: FloatArray) -> FloatArray:
        gait = self._settings
        stepped = command * np.array(gait.command_gain)
        error = (self._velocity - stepped) * np.array(gait.landing_gain_s)
        joints = np.zeros((len(time_s), self._spec.joint_count))
        for leg, half_cycle in zip(self._legs, self._half_cycle, strict=True):
            phase = (time_s / gait.period_s + half_cycle) % 1.0
            on_ground = phase < 0.5
            part = 2.0 * phase % 1.0
            across = np.array([-leg.foot_in_base_m[1], leg.foot_in_base_m[0]])
            # From front to back on the ground, from back to front in the air.
            stroke = np.where(on_ground, 1.0 - 2.0 * part, -np.cos(np.pi * part))
            landing = np.where(on_ground, 1.0 - part, part)
            offset = np.zeros((len(time_s), 3))
            offset[:, :2] = (stepped[:, :2] + stepped[:, 2:] * across) * (
                gait.period_s / 4.0 * stroke
            )[:, None]
            offset[:, :2] += (error[:, :2] + error[:, 2:] * across) * landing[:, None]
            offset[:, 2] = np.where(on_ground, 0.0, gait.lift_m * np.sin(np.pi * part))
            load = np.where(on_ground, np.minimum(1.0, 6.0 * np.minimum(part, 1.0 - part)), 0.0)
            force_n = np.zeros_like(offset)
            force_n[:, 2] = -0.5 * self._weight_n * gait.weight_share * load
            torque_nm = force_n @ leg.jacobian_m_per_rad
            joints[:, leg.joints] = leg.joint_offset_rad(offset)
            joints[:, leg.joints] += torque_nm / self._spec.kp_nm_per_rad[leg.joints]
        return joints


@torch.no_grad()
def trot_demonstrations(
    spec: RobotSpec,
    task: VelocityTask,
    *,
    robots: int = 256,
    seconds: float = 8.0,
    action_noise: float = 0.25,
    seed: int = 0,
) -> Demonstrations:
    """Let simulated robots trot, shaken by action noise, and note what the script would do."""
    settings = EnvSettings(EpisodeTiming(), RewardShape(), ObservationNoise(scale=0.0))
    generator = torch.Generator().manual_seed(seed)
    start_s = np.random.default_rng(seed).uniform(0.0, 1.0, robots)
    trot = ScriptedTrot(spec, start_s)
    settled_s = np.zeros(robots)
    observations: list[Tensor] = []
    actions: list[Tensor] = []
    with RobotBatch(spec, robots, seed=seed) as batch:
        env = VelocityEnv(spec, task, settings, SimulatedDynamics(batch), seed=seed)
        observation = env.get_observations()["policy"]
        for _ in range(round(seconds / spec.control_dt_s)):
            action = torch.from_numpy(trot.action(env.state.numpy(), env.command.numpy())).float()
            walking = torch.from_numpy(settled_s > 0.5)
            observations.append(observation[walking])
            actions.append(action[walking])
            noise = torch.randn(action.shape, generator=generator)
            tensors, _, dones, _ = env.step(action + action_noise * noise)
            observation = tensors["policy"]
            ended = dones.numpy() > 0
            trot.restart(np.flatnonzero(ended))
            settled_s = np.where(ended, 0.0, settled_s + spec.control_dt_s)
    return Demonstrations(torch.cat(observations), torch.cat(actions))
