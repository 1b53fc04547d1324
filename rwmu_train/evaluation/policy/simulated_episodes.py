"""Episodes of a policy in the simulated robot, summed up while they run.

N = robots, K = commands of an episode, T = control steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_deploy.simulation.robot_variant import NOMINAL, RobotVariant
from rwmu_train.environment.dynamics import DynamicsOutcome
from rwmu_train.environment.simulated_dynamics import SimulatedDynamics
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.evaluation.policy.command_plan import command_plan
from rwmu_train.evaluation.policy.foot_slip import FootSlip
from rwmu_train.task.reward_terms import TRACKING_VARIANCE
from rwmu_train.task.velocity_task import (
    EpisodeTiming,
    ObservationNoise,
    RewardShape,
    VelocityTask,
)

Policy = Callable[[Tensor], Tensor]
"""Observations (N, O) to actions (N, A)."""
FloatArray = NDArray[np.float64]

COMMAND_SECONDS = 10.0
"""A command holds this long (RWM, arXiv:2501.10100, table S6)."""
SLIP_ROBOTS = 20
"""Robots whose feet are followed in a step. They take turns, so that all count alike: kinematics
of all in every step would take longer than the physics."""


@dataclass(frozen=True)
class EpisodeSettings:
    """What is simulated.

    Raises:
        ConfigError: No robots, or no time.
    """

    robots: int = 1000
    """N; each lives one episode, until its first fall."""
    seconds: float = 20.0
    seed: int = 0
    """Of initial states, commands and what the variant draws. Robot i begins in the same state and
    gets the same commands under every policy."""
    noise_scale: float = 0.0
    """Observation noise as a factor of the published one."""
    pushes: bool = False
    """Whether robots are pushed as in training."""

    def __post_init__(self) -> None:
        if not self.robots >= 1:
            raise ConfigError(f"{self.robots} robots; allowed is 1 up", fix="Ask for more.")
        if not 0.0 < self.seconds <= 3600.0:
            raise ConfigError(
                f"episodes of {self.seconds} s; allowed is above 0, up to 3600",
                fix="The published task has 20.",
            )
        if not (0.0 <= self.noise_scale < np.inf and self.seed >= 0):
            raise ConfigError(
                f"noise scale {self.noise_scale}, seed {self.seed}; allowed is 0 up",
                fix="Correct it.",
            )


@dataclass(frozen=True)
class CommandSums:
    """Of every command of every robot, sums over the steps before the robot's first fall."""

    command: FloatArray
    """vx, vy [m/s], wz [rad/s], shape (N, K, 3)."""
    steps: FloatArray
    """Shape (N, K), as all that follow."""
    linear_tracking: FloatArray
    """exp(-|v_xy - command|^2 / 0.25)."""
    yaw_tracking: FloatArray
    """exp(-(w_z - command)^2 / 0.25)."""
    along: FloatArray
    """v_xy . command_xy."""
    asked: FloatArray
    """|command_xy|^2."""
    turned: FloatArray
    """w_z command_wz."""
    turn_asked: FloatArray
    """command_wz^2."""
    fell: FloatArray
    """1 for the command under which the robot fell."""


@dataclass(frozen=True)
class PolicyEpisodes:
    """N episodes, each until its first fall or its end."""

    settings: EpisodeSettings
    variant: str
    control_dt_s: float
    episode_return: FloatArray
    """Weighted reward terms summed, not clipped, no penalty for the fall, shape (N,)."""
    steps: FloatArray
    """Before the fall, shape (N,)."""
    command_steps: int
    """Steps that a command holds."""
    fall_step: NDArray[np.int64]
    """Step of the first fall, -1 without one, shape (N,)."""
    not_a_number: NDArray[np.bool_]
    """Where the fall is an action that was not a number, shape (N,)."""
    absolute_torque: FloatArray
    """Sum over steps of the joints' mean absolute torque [Nm], shape (N,)."""
    squared_torque: FloatArray
    """Sum over steps of the joints' mean squared torque [Nm^2], shape (N,)."""
    action_rate: FloatArray
    """Sum over steps of the squared change of the action, shape (N,)."""
    power: FloatArray
    """Sum over steps of the joints' summed positive mechanical power [W], shape (N,)."""
    slip_mps: float
    """Mean speed of feet over the ground while they touch it."""
    commands: CommandSums
    velocity: FloatArray
    """True vx, vy, wz of the first robot, shape (T, 3)."""
    asked_velocity: FloatArray
    """Its command, shape (T, 3)."""

    @property
    def fell(self) -> NDArray[np.bool_]:
        """Shape (N,)."""
        return self.fall_step >= 0


@torch.no_grad()
def simulate_episodes(
    policy: Policy,
    spec: RobotSpec,
    task: VelocityTask,
    settings: EpisodeSettings,
    *,
    threads: int | None = None,
    variant: RobotVariant = NOMINAL,
    on_step: Callable[[int, int], None] | None = None,
) -> PolicyEpisodes:
    """Let robots walk under random commands, new ones every 10 s.

    Tracking counts true velocities, whatever the variant's sensors say; the reward counts what
    they say. A policy whose action is not a number has fallen.

    Args:
        policy: Observations (N, O) to actions (N, A).
        spec: The robot.
        task: Gives commands and reward weights.
        settings: How many, how long.
        threads: Rollout threads; all processors when None.
        variant: How the robots differ from their model file.
        on_step: Told the step and how many there are.
    """
    steps = max(round(settings.seconds / spec.control_dt_s), 1)
    held, never = round(COMMAND_SECONDS / spec.control_dt_s), (steps + 1, steps + 1)
    timing = EpisodeTiming(episode_steps=steps + 1, command_steps=never)
    if not settings.pushes:
        timing = EpisodeTiming(steps + 1, never, push_steps=never)
    env_settings = EnvSettings(
        timing,
        RewardShape(clip_at_zero=False, termination_penalty=0.0),
        ObservationNoise(scale=settings.noise_scale),
    )
    with RobotBatch(
        spec, settings.robots, seed=settings.seed, threads=threads, variant=variant
    ) as batch:
        dynamics = SimulatedDynamics(batch)
        env = VelocityEnv(spec, task, env_settings, dynamics, seed=settings.seed)
        plan = command_plan(task, settings.robots, -(-steps // held), settings.seed)
        sums = _Sums(env, dynamics, plan, steps, held)
        observation = env.get_observations()
        for step in range(steps):
            if step % held == 0:
                env.command[:] = plan[:, step // held]
                observation = env.get_observations()
            before, action = env.last_action.clone(), policy(observation["policy"])
            observation, reward, _, extras = env.step(action)
            sums.add(step, action, before, reward, extras["outcome"])
            if on_step is not None:
                on_step(step + 1, steps)
    return sums.episodes(settings, variant.name)


class _Sums:
    """Adds up what happens until each robot's first fall."""

    def __init__(
        self, env: VelocityEnv, dynamics: SimulatedDynamics, plan: Tensor, steps: int, held: int
    ) -> None:
        self._env, self._dynamics, self._plan, self._held = env, dynamics, plan, held
        robots, kinds, _ = plan.shape
        self._walking = torch.ones(robots, dtype=torch.bool)
        self._fall_step = torch.full((robots,), -1)
        self._not_a_number = torch.zeros(robots, dtype=torch.bool)
        self._of_command = {
            name: torch.zeros(robots, kinds, dtype=torch.float64) for name in _COMMAND_SUMS
        }
        self._of_robot = {name: torch.zeros(robots, dtype=torch.float64) for name in _ROBOT_SUMS}
        self._trace = torch.zeros(2, steps, 3)
        self._slip = FootSlip(env.spec, robots, SLIP_ROBOTS)

    def add(
        self,
        step: int,
        action: Tensor,
        action_before: Tensor,
        reward: Tensor,
        outcome: DynamicsOutcome,
    ) -> None:
        """One control step of all robots."""
        k = step // self._held
        columns, truth = self._env.columns, self._dynamics.true_state
        falls = self._walking & outcome.fell
        self._fall_step[falls] = step
        self._not_a_number |= falls & ~action.isfinite().all(1)
        self._walking &= ~outcome.fell
        v = truth[:, columns.base_linear_velocity_mps.slice][:, :2]
        w = truth[:, columns.base_angular_velocity_radps.slice][:, 2]
        torque = truth[:, columns.joint_torque_nm.slice]
        rate = truth[:, columns.joint_velocity_radps.slice]
        command = self._plan[:, k]
        asked, turn = command[:, :2], command[:, 2]
        for name, value in (
            ("steps", torch.ones_like(turn)),
            ("linear_tracking", torch.exp(-(v - asked).square().sum(1) / TRACKING_VARIANCE)),
            ("yaw_tracking", torch.exp(-(w - turn).square() / TRACKING_VARIANCE)),
            ("along", (v * asked).sum(1)),
            ("asked", asked.square().sum(1)),
            ("turned", w * turn),
            ("turn_asked", turn.square()),
        ):
            self._of_command[name][:, k] += self._while_walking(value)
        self._of_command["fell"][:, k] += falls
        change = self._env.last_action - action_before
        for name, value in (
            ("episode_return", reward),
            ("absolute_torque", torque.abs().mean(1)),
            ("squared_torque", torque.square().mean(1)),
            ("action_rate", change.square().sum(1)),
            ("power", (torque * rate).clamp(min=0.0).sum(1)),
        ):
            self._of_robot[name] += self._while_walking(value)
        self._trace[0, step, :2], self._trace[0, step, 2] = v[0], w[0]
        self._trace[1, step] = command[0]
        self._slip.add(truth, outcome.contact, self._walking)

    def episodes(self, settings: EpisodeSettings, variant: str) -> PolicyEpisodes:
        """All that was added up."""
        of_command = {name: value.numpy() for name, value in self._of_command.items()}
        return PolicyEpisodes(
            settings=settings,
            variant=variant,
            control_dt_s=self._env.spec.control_dt_s,
            steps=of_command["steps"].sum(1),
            command_steps=self._held,
            fall_step=self._fall_step.numpy(),
            not_a_number=self._not_a_number.numpy(),
            slip_mps=self._slip.mean_mps,
            commands=CommandSums(command=self._plan.double().numpy(), **of_command),
            velocity=self._trace[0].double().numpy(),
            asked_velocity=self._trace[1].double().numpy(),
            **{name: value.numpy() for name, value in self._of_robot.items()},
        )

    def _while_walking(self, value: Tensor) -> Tensor:
        # Not a product: what is not a number after a fall must not stay.
        return torch.where(self._walking, value, 0.0)


_COMMAND_SUMS = (
    *("steps", "linear_tracking", "yaw_tracking", "along", "asked"),
    *("turned", "turn_asked", "fell"),
)
_ROBOT_SUMS = ("episode_return", "absolute_torque", "squared_torque", "action_rate", "power")
