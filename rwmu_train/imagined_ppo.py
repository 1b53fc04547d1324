"""PPO in the imagination of a world model, from the behaviour in the data or from nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.environment.dynamics import Dynamics
from rwmu_train.environment.early_end import EarlyEnd
from rwmu_train.environment.observation_torch import ActorView
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.imagination.imagined_dynamics import ImaginedDynamics
from rwmu_train.imagination.imagined_env import imagined_env
from rwmu_train.imagination.imagined_score import imagined_score
from rwmu_train.imagination.range_guard import RangeGuard
from rwmu_train.policy.behaviour_cloning import clone_behaviour
from rwmu_train.policy.clone_trust_region import CloneTrustRegion
from rwmu_train.policy.collectors_mean import MeanAnswers, learn_mean_answers
from rwmu_train.policy.demonstrations import CloningSettings, Demonstrations, choose_demonstrations
from rwmu_train.policy.policy_choice import PolicyChoice
from rwmu_train.policy.policy_network import PolicyNetwork
from rwmu_train.policy.ppo_resume import PolicyProgress, environment_seed, save_progress
from rwmu_train.policy.ppo_runner import IterationReport, PpoRunner, seed_everything
from rwmu_train.policy.teacher import Teacher
from rwmu_train.presets import OfflinePreset
from rwmu_train.processes.process_share import ALONE, ProcessShare
from rwmu_train.task.velocity_task import VelocityTask
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.world_model.checkpoint import WorldModelFacts
from rwmu_train.world_model.ensemble import WorldModel

SCORE_EVERY = 10
"""Iterations between candidates."""
SCORED_ROBOTS = 200
SCORING_SEED = 20_001


@dataclass(frozen=True)
class PolicyCallbacks:
    """Who wants to know how policy training goes; each may be None."""

    on_collectors_step: Callable[[int, float], None] | None = None
    """While is learned what the collectors of the data would do."""
    on_mean_answers: Callable[[MeanAnswers], None] | None = None
    """Whether their mean is imitated."""
    on_cloning_step: Callable[[int, float], None] | None = None
    on_iteration: Callable[[IterationReport, PolicyNetwork], None] | None = None
    on_begin: Callable[[int], None] | None = None
    """Iterations done before, where some are left to be done."""
    on_demonstrations: Callable[[Demonstrations], None] | None = None
    """What is about to be imitated."""


@dataclass(frozen=True)
class ImaginedPpo:
    """A policy that is to be trained."""

    dataset: TransitionDataset
    model: WorldModel
    model_facts: WorldModelFacts
    task: VelocityTask
    preset: OfflinePreset
    seed: int
    teacher: Teacher | None = None
    """Whose actions are cloned; None: those in the data."""
    share: ProcessShare = ALONE
    """Of the processes that train together; the first alone writes and reports."""
    device: str = "cpu"
    """Where robots are imagined and PPO's networks are; clones are fitted on the CPU."""

    def check(self) -> None:
        """Find out early what imagination would refuse.

        Raises:
            TransitionFileError: No imagined episode can begin in the data.
            ConfigError: The settings ask for what the world model does not know.
        """
        self._guarded(self._imagine(1, self.seed))

    def score(self, candidate: PolicyNetwork) -> float:
        """The offline rule: what a policy is worth in imagination."""
        imagined = self._imagine(SCORED_ROBOTS, SCORING_SEED)
        return imagined_score(
            copy.deepcopy(candidate).to(self.device),
            self.dataset.spec,
            self.task,
            self._env_settings,
            self._ended_early(self._guarded(imagined)),
            seed=SCORING_SEED,
        )

    def train(
        self,
        folder: Path,
        run: Mapping[str, Any],
        begin: PolicyProgress | None,
        score: Callable[[PolicyNetwork], float],
        callbacks: PolicyCallbacks,
    ) -> PolicyChoice:
        """Do the iterations that are left.

        Args:
            folder: Of checkpoint and events.
            run: What the run is of, for the checkpoint.
            begin: How far it has come; None begins.
            score: By which candidates are chosen.
            callbacks: Progress.

        Raises:
            ConfigError: Imagination explodes: too many robots are lost.
        """
        spec, ppo = self.dataset.spec, self.preset.ppo
        done = 0 if begin is None else begin.iteration
        if callbacks.on_begin is not None:
            callbacks.on_begin(done)
        seed_everything(self.seed)
        seed_now = environment_seed(self.seed, done)
        own_seed = self.share.own_seed(seed_now)
        robots = self.share.own_count(self.preset.imagination.robots, "imagined robots")
        imagined = self._imagine(robots, own_seed)
        guard = self._guarded(imagined)
        env = imagined_env(
            spec,
            self.task,
            self._env_settings,
            imagined,
            seed=own_seed,
            ended=self._ended_early(guard),
        )
        runner = PpoRunner(env, ppo, folder, self.share)
        if begin is None:
            self._clone(runner, callbacks)
        else:
            begin.restore_start(runner)
        start = {name: value.clone() for name, value in runner.actor.mlp.state_dict().items()}
        self._hold_near_start(runner, env.actor_view, seed_now)
        if begin is None:
            choice = PolicyChoice(PolicyNetwork.from_rsl_rl(runner.actor, spec), score)
            if self.share.is_first:
                save_progress(folder, runner, 0, run, choice, start)
        else:
            choice = begin.choice(spec, ppo.hidden, score)
            begin.restore(runner)

        def after_iteration(report: IterationReport) -> None:
            share = guard.take_share()
            runner.record("Imagination/out_of_range", share, report.iteration)
            self._refuse_lost(share, report.iteration)
            report = replace(report, out_of_range=share)
            candidate = PolicyNetwork.from_rsl_rl(runner.actor, spec)
            last = report.iteration == ppo.iterations
            if report.iteration % SCORE_EVERY == 0 or last:
                choice.offer(report.iteration, candidate)
            if callbacks.on_iteration is not None:
                callbacks.on_iteration(report, candidate)
            if report.iteration % ppo.checkpoint_every == 0 or last:
                save_progress(folder, runner, report.iteration, run, choice, start)

        runner.on_iteration = after_iteration
        runner.train()
        return choice

    def policy_of(self, progress: PolicyProgress, folder: Path) -> PolicyNetwork:
        """The policy that a training has come to, chosen or not.

        Raises:
            CheckpointError: It is missing, or of other sizes.
        """
        with torch.random.fork_rng(devices=[]):
            one, spec = self._imagine(1, self.seed), self.dataset.spec
            env = VelocityEnv(spec, self.task, self._env_settings, one, seed=self.seed)
            runner = PpoRunner(env, self.preset.ppo, folder)
            progress.restore(runner)
            return PolicyNetwork.from_rsl_rl(runner.actor, spec)

    def _imagine(self, robots: int, seed: int) -> ImaginedDynamics:
        settings = replace(self.preset.imagination, robots=robots)
        if self.model.architecture.members == 1:  # whose uncertainty is 0 in any unit
            settings = replace(settings, uncertainty_unit="absolute")
        facts = self.model_facts
        return ImaginedDynamics(
            self.model,
            self.dataset,
            facts.normaliser,
            facts.history,
            settings,
            seed=seed,
            device=self.device,
            data_median_uncertainty=facts.held_out.get("uncertainty_std_sum", {}).get("q50"),
        )

    def _guarded(self, imagined: ImaginedDynamics) -> RangeGuard:
        lowest, highest = (
            self.model_facts.normaliser.denormalise(edge)
            for edge in (self.model.lowest_state, self.model.highest_state)
        )
        return RangeGuard(imagined, self.dataset.columns, lowest, highest)

    def _ended_early(self, dynamics: Dynamics) -> Dynamics:
        limits = self.preset.early_end
        return dynamics if limits is None else EarlyEnd(dynamics, self.dataset.spec, limits)

    def _refuse_lost(self, share: float, iteration: int) -> None:
        allowed = self.preset.imagination.most_out_of_range
        if not share <= allowed:
            raise ConfigError(
                f"in {share:.2%} of the imagined steps of iteration {iteration} a robot was out "
                f"of the world model's range; allowed is {allowed:.2%} "
                "(imagination.most_out_of_range)",
                fix="Train the world model longer or on more data, raise --lambda, or lower "
                "imagination.end_above_uncertainty. What is trained is kept: --resume with a "
                "higher imagination.most_out_of_range goes on from it.",
            )

    @property
    def _env_settings(self) -> EnvSettings:
        return EnvSettings(self.preset.timing, self.preset.reward, self.preset.noise)

    def _answered(
        self, chosen: Demonstrations, settings: CloningSettings, callbacks: PolicyCallbacks
    ) -> Demonstrations:
        """With the actions that are imitated."""
        if self.teacher is not None:
            return self.teacher.answers(chosen)
        if settings.answers != "mean" or len(chosen.collectors) < 2:
            return chosen
        mean = learn_mean_answers(
            chosen,
            self.preset.ppo.hidden,
            settings,
            seed=self.seed,
            on_step=callbacks.on_collectors_step,
        )
        if callbacks.on_mean_answers is not None:
            callbacks.on_mean_answers(mean)
        return mean.demonstrations

    def _clone(self, runner: PpoRunner, callbacks: PolicyCallbacks) -> None:
        settings = self.preset.cloning
        if settings is not None:
            runner.actor.to("cpu")
            chosen = choose_demonstrations(self.dataset, settings)
            if callbacks.on_demonstrations is not None:
                callbacks.on_demonstrations(chosen)
            clone_behaviour(
                runner.actor,
                self._answered(chosen, settings, callbacks),
                ActorView(self.dataset.spec, self.preset.noise),
                settings,
                seed=self.seed,
                fresh=not self.preset.ppo.normalise_observation,
                on_step=callbacks.on_cloning_step,
            )
            runner.actor.to(self.device)

    def _hold_near_start(self, runner: PpoRunner, view: ActorView, seed: int) -> None:
        settings = self.preset.cloning
        if settings is not None and settings.trust_region_weight > 0.0:
            held = CloneTrustRegion(
                runner.actor,
                choose_demonstrations(self.dataset, settings),
                view,
                weight=settings.trust_region_weight,
                batch_size=settings.batch_size,
                seed=seed,
            )
            runner.add_actor_loss(held.loss)
