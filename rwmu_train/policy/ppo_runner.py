"""rsl_rl's OnPolicyRunner with our progress instead of its page of text per iteration."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rsl_rl.env import VecEnv
from rsl_rl.models import MLPModel
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.utils.logger import Logger

from rwmu_train.policy.ppo_settings import PpoSettings


@dataclass(frozen=True)
class IterationReport:
    """What one PPO iteration showed."""

    iteration: int
    """Counted from 1."""
    episode: Mapping[str, float]
    """Means over the episodes that ended: reward terms, length, share that fell."""
    action_std: float
    steps_per_second: float


class _ReportingLogger(Logger):
    """Writes TensorBoard events as rsl_rl does, and tells a callback instead of the console."""

    on_iteration: Callable[[IterationReport], None] | None = None

    def log(self, it: int, *args: Any, **kwargs: Any) -> None:
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
                    steps_per_second=self.num_envs * self.cfg["num_steps_per_env"] / seconds,
                )
            )


class PpoRunner(OnPolicyRunner):
    """PPO on an environment, quietly.

    Args:
        env: The environment.
        settings: PPO's settings.
        log_folder: TensorBoard events and rsl_rl checkpoints (`model_*.pt`) go here.
    """

    def __init__(
        self,
        env: VecEnv,
        settings: PpoSettings,
        log_folder: Path,
    ) -> None:
        self.settings = settings
        with contextlib.redirect_stdout(io.StringIO()):
            super().__init__(env, settings.to_rsl_rl(), str(log_folder), str(env.device))
        if settings.critic_learning_rate is not None:
            self._give_critic_its_own_rate(settings.critic_learning_rate)
        self._reports = _ReportingLogger(
            log_dir=str(log_folder),
            cfg=self.cfg,
            env_cfg=env.cfg,
            num_envs=env.num_envs,
            is_distributed=self.is_distributed,
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
        """Run all iterations of the settings."""
        warm_up = min(self.settings.critic_warm_up_iterations, self.settings.iterations)
        if warm_up:
            self._train_critic(warm_up)
        self.learn(self.settings.iterations - warm_up, init_at_random_ep_len=not warm_up)

    def add_actor_loss(self, loss: Callable[[MLPModel, torch.Tensor], torch.Tensor]) -> None:
        """Add the gradient of a loss (actor, std of its actions) to every step of PPO."""

        def add_gradient(*_: Any) -> None:
            if next(self.actor.parameters()).requires_grad:  # not while the critic warms up
                with torch.enable_grad():
                    std = self.actor.distribution.log_std_param.exp()
                    loss(self.actor, std).backward()

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

    def _train_critic(self, iterations: int) -> None:
        """Let the critic learn what the present actor is worth, leaving the actor as it is."""
        # The adaptive schedule would answer a KL of 0 with ever larger steps.
        schedule, self.alg.schedule = self.alg.schedule, "fixed"
        self.actor.requires_grad_(False)
        self.learn(iterations, init_at_random_ep_len=True)
        self.actor.requires_grad_(True)
        self.alg.schedule = schedule
        self.current_learning_iteration += 1


def seed_everything(seed: int) -> None:
    """Seed torch's global generator, which rsl_rl draws network weights and actions from."""
    torch.manual_seed(seed)
