"""Velocity tracking as an rsl_rl environment, over physics or over a world model.

The same commands, rewards, noise, pushes and resets serve both, so that what is learned in
imagination is asked for in the same words in the simulated robot.
N = robots, S = state size, A = action size, O = observation size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch import Tensor

from rwmu_deploy.contract.action import action_bounds
from rwmu_deploy.contract.foot_columns import foot_columns
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.environment.chosen_robots import ChosenRobots, ListedRobots, MaskedRobots
from rwmu_train.environment.dynamics import Dynamics, DynamicsOutcome
from rwmu_train.environment.observation_torch import ActorView, build_observation
from rwmu_train.policy.symmetry import SagittalMirror
from rwmu_train.task.reward_terms import (
    TRACKING_TERMS,
    StepRecord,
    refuse_unmeasured,
    weighted_terms,
)
from rwmu_train.task.velocity_task import (
    EpisodeTiming,
    ObservationNoise,
    RewardShape,
    VelocityTask,
)


@dataclass(frozen=True)
class EnvSettings:
    """How an environment uses its task."""

    timing: EpisodeTiming
    reward: RewardShape
    noise: ObservationNoise


class VelocityEnv(VecEnv):
    """N robots that follow velocity commands.

    Observation groups: `policy` (what the actor sees, with noise) and `critic` (all, without).

    Args:
        spec: The robot.
        task: What is asked.
        settings: Timing, reward shape and noise.
        dynamics: What moves the robots.
        seed: Seed of commands, pushes and noise.
        choose: How robots that begin anew are told; `MaskedRobots` never makes the host wait for
            the device. Draws differ, so two ways of telling give two trainings.

    Raises:
        ConfigError: The robot lacks what a reward term measures.
    """

    def __init__(
        self,
        spec: RobotSpec,
        task: VelocityTask,
        settings: EnvSettings,
        dynamics: Dynamics,
        *,
        seed: int,
        choose: type[ListedRobots] | type[MaskedRobots] = ListedRobots,
    ) -> None:
        self.spec, self.task, self.settings, self.dynamics = spec, task, settings, dynamics
        refuse_unmeasured(spec, task.reward_weights)
        self.columns = TransitionColumns.of(spec)
        self.device = dynamics.device
        self.num_envs = dynamics.count
        self.num_actions = spec.joint_count
        self.max_episode_length = settings.timing.episode_steps
        self.mirror = SagittalMirror(spec, self.device)
        self.cfg = {"task": task.name}
        self._generator = torch.Generator(self.device).manual_seed(seed)
        self._choose = choose.where

        n, device = self.num_envs, self.device
        contacts = spec.contact_names
        self._feet = self._indices([contacts.index(name) for name in spec.foot_names])
        self._penalised = self._indices(
            [i for i, name in enumerate(contacts) if name not in spec.foot_names]
        )
        known = foot_columns(spec)
        self._foot_height = self._indices(() if known is None else known.height_m)
        self._foot_speed = self._indices(() if known is None else known.speed_mps)
        joints = spec.joint_names
        self._posture = self._indices([joints.index(name) for name in spec.posture_joints])
        lower, upper = action_bounds(spec)
        self.action_limits = (
            torch.tensor(lower, dtype=torch.float32, device=device),
            torch.tensor(upper, dtype=torch.float32, device=device),
        )
        """Actions whose targets are the joint limits: lower and upper, each (A,)."""
        self._default = torch.tensor(spec.default_position_rad, dtype=torch.float32, device=device)
        self.actor_view = ActorView(spec, settings.noise, device)
        self._command_lower = torch.tensor(task.command_lower, device=device)
        self._command_upper = torch.tensor(task.command_upper, device=device)

        self._age_steps = torch.zeros(n, dtype=torch.long, device=device)
        self.state = torch.zeros(n, self.columns.state_size, device=device)
        """Present state, shape (N, S)."""
        self.last_action = torch.zeros(n, self.num_actions, device=device)
        """The applied action that produced `state`, shape (N, A)."""
        self.command = torch.zeros(n, 3, device=device)
        """Velocity command in force, shape (N, 3)."""
        self._air_time_s = torch.zeros(n, len(self._feet), device=device)
        self._command_left = torch.zeros(n, dtype=torch.long, device=device)
        self._push_left = torch.zeros(n, dtype=torch.long, device=device)
        factor = settings.reward.tracking_factor
        self._reward_weights = {
            term: weight * (factor if term in TRACKING_TERMS else 1.0)
            for term, weight in task.reward_weights.items()
        }
        self._episode_sums: dict[str, Tensor] = {}
        self._begin_episodes(self._choose(torch.ones(n, dtype=torch.bool, device=device)))

    @property
    def episode_length_buf(self) -> Tensor:
        """Steps that the present episodes have taken, shape (N,), in memory that stays."""
        return self._age_steps

    @episode_length_buf.setter
    def episode_length_buf(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, steps: Tensor
    ) -> None:
        self._age_steps.copy_(steps)  # rsl_rl spreads them

    def get_observations(self) -> TensorDict:
        """Observations of the present state."""
        clean = build_observation(self.columns, self.state, self.command, self.last_action)
        seen = self.actor_view(clean, self._generator)
        return TensorDict({"policy": seen, "critic": clean}, batch_size=[self.num_envs])

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        """One control step.

        Args:
            actions: Policy outputs, shape (N, A); applied within the joint limits.

        Returns:
            Observations, rewards (N,), dones (N,), extras with `time_outs` and `log`.
        """
        applied = torch.clamp(actions, *self.action_limits)
        outcome = self.dynamics.step(applied)
        rewards, terms = self._rewards(applied, outcome)
        shape, dt = self.settings.reward, self.spec.control_dt_s
        rewards = rewards - shape.termination_penalty * outcome.fell
        if shape.uncertainty_weight:
            rewards = rewards - shape.uncertainty_weight * dt * outcome.uncertainty

        # Copied: new episodes overwrite parts of it, and `outcome` keeps what really happened.
        self.state.copy_(outcome.state)
        self.last_action.copy_(applied)
        self._age_steps += 1
        time_outs = (self._age_steps >= self.max_episode_length) & ~outcome.fell
        dones = outcome.fell | time_outs
        terms["uncertainty"] = outcome.uncertainty
        self._sum_terms(terms)
        extras: dict[str, Any] = {"time_outs": time_outs.float(), "outcome": outcome}
        ended = self._choose(dones)
        if ended.count:
            extras["log"] = self._episode_means(ended)
            extras["log"]["Episode/fell"] = ended.mean(ended.of(outcome.fell).float())
            self._begin_episodes(ended)
        self._advance_commands_and_pushes(dones)
        return self.get_observations(), rewards, dones.long(), extras

    def _rewards(
        self, applied: Tensor, outcome: DynamicsOutcome
    ) -> tuple[Tensor, dict[str, Tensor]]:
        dt, contact = self.spec.control_dt_s, outcome.contact
        touching = contact[:, self._feet]
        air_time = self._air_time_s + dt
        touchdown = touching * (self._air_time_s > 0.0)
        record = StepRecord(
            columns=self.columns,
            state=outcome.state,
            previous_state=self.state,
            action=applied,
            previous_action=self.last_action,
            penalised_contact=contact[:, self._penalised],
            touchdown_air_time_s=air_time * touchdown,
            touchdown=touchdown,
            command=self.command,
            foot_height_m=outcome.extension[:, self._foot_height],
            foot_speed_mps=outcome.extension[:, self._foot_speed],
            posture_joint=self._posture,
            default_position_rad=self._default,
            dt_s=dt,
        )
        self._air_time_s.copy_(air_time * (1.0 - touching))
        terms = weighted_terms(record, self._reward_weights)
        if not terms:
            return torch.zeros(self.num_envs, device=self.device), terms
        total = torch.stack(list(terms.values())).sum(0)
        return total.clamp(min=0.0) if self.settings.reward.clip_at_zero else total, terms

    def _begin_episodes(self, who: ChosenRobots) -> None:
        state, last_action = self.dynamics.reset(who)
        who.write(self.state, state)
        who.write(self.last_action, last_action)
        who.write(self._age_steps, 0)
        who.write(self._air_time_s, 0.0)
        self._new_commands(who)
        who.write(self._push_left, self._steps(self.settings.timing.push_steps, who.count))

    def _advance_commands_and_pushes(self, dones: Tensor) -> None:
        going_on = ~dones
        self._command_left -= going_on.long()
        self._push_left -= going_on.long()
        due = self._choose(self._command_left <= 0)
        if due.count:
            self._new_commands(due)
        due = self._choose(self._push_left <= 0)
        if due.count and self.task.push_velocity_mps > 0.0:
            reach = self.task.push_velocity_mps
            kick = self._uniform((due.count, 2)) * 2.0 * reach - reach
            due.write(self.state, self.dynamics.push(due, kick))
        due.write(self._push_left, self._steps(self.settings.timing.push_steps, due.count))

    def _new_commands(self, who: ChosenRobots) -> None:
        span = self._command_upper - self._command_lower
        command = self._command_lower + self._uniform((who.count, 3)) * span
        standing = self._uniform((who.count, 1)) < self.task.standing_share
        who.write(self.command, command.masked_fill(standing, 0.0))
        left = self._steps(self.settings.timing.command_steps, who.count)
        who.write(self._command_left, left)

    def _uniform(self, shape: tuple[int, ...]) -> Tensor:
        return torch.rand(shape, generator=self._generator, device=self.device)

    def _steps(self, bounds: tuple[int, int], count: int) -> Tensor:
        return torch.randint(
            bounds[0], bounds[1] + 1, (count,), generator=self._generator, device=self.device
        )

    def _sum_terms(self, terms: dict[str, Tensor]) -> None:
        for name, values in terms.items():
            if name not in self._episode_sums:
                self._episode_sums[name] = torch.zeros(self.num_envs, device=self.device)
            self._episode_sums[name] += values

    def _episode_means(self, ended: ChosenRobots) -> dict[str, Tensor]:
        steps = ended.of(self._age_steps).clamp(min=1)
        means = {}
        for name, sums in self._episode_sums.items():
            means[f"Episode/{name}"] = ended.mean(ended.of(sums) / steps)
            ended.write(sums, 0.0)
        means["Episode/length"] = ended.mean(steps.float())
        return means

    def _indices(self, numbers: Sequence[int]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.long, device=self.device)
