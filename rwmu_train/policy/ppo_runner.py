"""rsl_rl's OnPolicyRunner with our progress instead of its page of text per iteration."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rsl_rl.models import MLPModel
from rsl_rl.modules.distribution import GaussianDistribution
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.utils.logger import Logger
from torch import Tensor, nn

from rwmu_train.environment.velocity_env import VelocityEnv
from rwmu_train.policy.ppo_settings import PpoSettings
from rwmu_train.processes.process_share import ALONE, ProcessShare
from rwmu_train.world_model.checkpoint import restore_training_state, training_state

NOT_A_REWARD = ("uncertainty", "length", "fell")
"""What reports say of episodes besides reward terms."""


@dataclass(frozen=True)
class IterationReport:
    """What one PPO iteration showed."""

    iteration: int
    """Counted from 1."""
    episode: Mapping[str, float]
    """Means over the episodes that ended: reward terms, length, share that fell."""
    action_std: float
    steps_per_second: float
    out_of_range: float | None = None
    """Share of steps in which imagination lost a robot; None where nothing is imagined."""

    @property
    def reward_per_step(self) -> float | None:
        """Sum of the task's reward terms; None before an episode has ended."""
        terms = [value for name, value in self.episode.items() if name not in NOT_A_REWARD]
        return sum(terms) if terms else None


class _ReportingLogger(Logger):
    """Writes TensorBoard events as rsl_rl does, and tells a callback instead of the console."""

    on_iteration: Callable[[IterationReport], None] | None = None

    def log(self, it: int, *args: Any, **kwargs: Any) -> None:
        if self.disable_logs:  # another process reports
            return
        # Where nobody ended, robots told by a mask give NaN: the device alone knew.
        self.ep_extras = [
            entry for entry in self.ep_extras if not math.isnan(float(entry["Episode/length"]))
        ]
        episode: dict[str, list[float]] = {}
        for entry in self.ep_extras:
            for name, value in entry.items():
                episode.setdefault(name.removeprefix("Episode/"), []).append(float(value))
        with contextlib.redirect_stdout(io.StringIO()):
            super().log(it, *args, **kwargs)
        if self.on_iteration is not None:
            seconds = kwargs["collect_time"] + kwargs["learn_time"]
            self.on_iteration(
                IterationReport(
                    iteration=it + 1,
                    episode={name: sum(v) / len(v) for name, v in episode.items()},
                    action_std=float(kwargs["action_std"].detach().mean()),
                    steps_per_second=self.num_envs
                    * self.gpu_world_size
                    * self.cfg["num_steps_per_env"]
                    / seconds,
                )
            )


class PpoRunner(OnPolicyRunner):
    """PPO on an environment, quietly.

    Args:
        env: The environment.
        settings: PPO's settings.
        log_folder: TensorBoard events go here.
        share: Of the processes that train this policy together, each on robots of its own:
            gradients are averaged (rsl_rl's distributed mode), and the first process reports.
    """

    def __init__(
        self,
        env: VelocityEnv,
        settings: PpoSettings,
        log_folder: Path,
        share: ProcessShare = ALONE,
    ) -> None:
        self.settings, self._share = settings, share
        with contextlib.redirect_stdout(io.StringIO()):
            super().__init__(env, settings.to_rsl_rl(), str(log_folder), str(env.device))
        self._blind_actor(env.actor_view.seen)
        if settings.critic_learning_rate is not None:
            self._give_critic_its_own_rate(settings.critic_learning_rate)
        self._reports = _ReportingLogger(
            log_dir=str(log_folder),
            cfg=self.cfg,
            env_cfg=env.cfg,
            num_envs=env.num_envs,
            is_distributed=self._share.processes > 1,
            gpu_world_size=self.gpu_world_size,
            gpu_global_rank=self.gpu_global_rank,
            device=self.device,
        )
        self._reports.git_status_repos = []
        self.logger = self._reports

    @property
    def on_iteration(self) -> Callable[[IterationReport], None] | None:
        """Called after every iteration."""
        return self._reports.on_iteration

    @on_iteration.setter
    def on_iteration(self, callback: Callable[[IterationReport], None] | None) -> None:
        self._reports.on_iteration = callback

    @property
    def actor(self) -> MLPModel:
        """The policy being trained."""
        return self.alg.get_policy()

    def train(self) -> None:
        """Run the iterations of the settings that are still to be done."""
        if self._share.processes > 1:
            self.alg.broadcast_parameters()
            if not self._share.is_first:  # each explores in its own way
                seed = torch.initial_seed() + self.current_learning_iteration
                torch.manual_seed(self._share.own_seed(seed))
        warm_up = min(self.settings.critic_warm_up_iterations, self.settings.iterations)
        spread = True
        if self.current_learning_iteration < warm_up:
            self._train_critic_until(warm_up)
            spread = False
        if self.current_learning_iteration < self.settings.iterations:
            self._learn_until(self.settings.iterations, spread)

    def record(self, name: str, value: float, iteration: int) -> None:
        """Add a number to the TensorBoard events while training."""
        if self._reports.writer is not None:
            self._reports.writer.add_scalar(name, value, iteration - 1)  # rsl_rl counts from 0

    def training_state(self) -> dict[str, Tensor]:
        """Weights, normalisers and optimiser of now, by name."""
        return training_state(self._networks, self.alg.optimizer)

    def restore(self, tensors: Mapping[str, Tensor], iteration: int, learning_rate: float) -> None:
        """Go on after `iteration` iterations.

        Args:
            tensors: What `training_state` gave then.
            iteration: Iterations done.
            learning_rate: Where the adaptive schedule was.

        Raises:
            RuntimeError: The tensors are not of these networks.
        """
        restore_training_state(self._networks, self.alg.optimizer, tensors)
        self.current_learning_iteration = iteration
        self.alg.learning_rate = learning_rate
        for group in self.alg.optimizer.param_groups:
            group["lr"] = learning_rate

    def save(self, path: str, infos: dict[str, Any] | None = None) -> None:
        """Nothing: rsl_rl's checkpoints are pickles, and `ppo_resume` keeps what is needed."""

    def _configure_multi_gpu(self) -> None:
        """As rsl_rl does, but of processes that have joined already, on any device.

        `is_distributed` only makes it say, on every process, that it broadcasts.
        """
        share = self._share
        self.is_distributed = False
        self.gpu_world_size = share.processes
        self.gpu_global_rank = self.gpu_local_rank = share.rank
        self.cfg["multi_gpu"] = None
        if share.processes > 1:
            self.cfg["multi_gpu"] = {
                "global_rank": share.rank,
                "local_rank": share.rank,
                "world_size": share.processes,
            }

    @property
    def _networks(self) -> nn.ModuleDict:
        return nn.ModuleDict({"actor": self.alg.actor, "critic": self.alg.critic})

    def _blind_actor(self, seen: Tensor) -> None:
        """Let the first layer take nothing from entries that the actor does not see, for good.

        An entry that is 0 in every sample gives its weights no gradient: once 0, they stay 0. So a
        policy answers on the robot as in training, whatever stands there.

        Args:
            seen: 1 where the actor sees an entry, else 0; shape (O,).
        """
        with torch.no_grad():
            next(self.actor.mlp.parameters()).mul_(seen)

    def _learn_until(self, iterations: int, spread_episodes: bool) -> None:
        self.learn(iterations - self.current_learning_iteration, spread_episodes)
        # rsl_rl leaves the index of the last iteration, not the count.
        self.current_learning_iteration = iterations

    def add_actor_loss(self, loss: Callable[[MLPModel, torch.Tensor], torch.Tensor]) -> None:
        """Add the gradient of a loss (actor, std of its actions) to every step of PPO."""

        def add_gradient(*_: Any) -> None:
            if next(self.actor.parameters()).requires_grad:  # not while the critic warms up
                distribution = self.actor.distribution
                assert isinstance(distribution, GaussianDistribution)
                with torch.enable_grad():
                    loss(self.actor, distribution.log_std_param.exp()).backward()

        self.alg.optimizer.register_step_pre_hook(add_gradient)

    def _give_critic_its_own_rate(self, rate: float) -> None:
        groups = [
            {"params": list(part.parameters())} for part in (self.alg.actor, self.alg.critic)
        ]
        optimiser = torch.optim.Adam(groups, lr=self.settings.learning_rate)
        # PPO sets one rate for all groups just before it steps.
        optimiser.register_step_pre_hook(
            lambda steps, *_: steps.param_groups[1].update(lr=rate),
        )
        self.alg.optimizer = optimiser

    def _train_critic_until(self, iterations: int) -> None:
        """Let the critic learn what the present actor is worth, leaving the actor as it is."""
        # The adaptive schedule would answer a KL of 0 with ever larger steps.
        schedule, self.alg.schedule = self.alg.schedule, "fixed"
        self.actor.requires_grad_(False)
        self._learn_until(iterations, spread_episodes=True)
        self.actor.requires_grad_(True)
        self.alg.schedule = schedule


def seed_everything(seed: int) -> None:
    """Seed torch's global generator, which rsl_rl draws network weights and actions from."""
    torch.manual_seed(seed)
