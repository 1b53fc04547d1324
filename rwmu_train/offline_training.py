"""The offline pipeline: transitions -> world model -> imagined PPO -> policy. No simulator."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.observation import build_observation
from rwmu_train.environment.dynamics import Dynamics
from rwmu_train.environment.early_end import EarlyEnd
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.imagination.imagined_dynamics import ImaginedDynamics
from rwmu_train.imagination.imagined_score import imagined_score
from rwmu_train.policy.behaviour_cloning import choose_demonstrations, clone_behaviour
from rwmu_train.policy.clone_trust_region import CloneTrustRegion
from rwmu_train.policy.policy_checkpoint import PolicyFacts, save_policy
from rwmu_train.policy.policy_choice import PolicyChoice
from rwmu_train.policy.policy_network import PolicyNetwork
from rwmu_train.policy.ppo_runner import IterationReport, PpoRunner, seed_everything
from rwmu_train.presets import OfflinePreset
from rwmu_train.task.velocity_task import VelocityTask
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.world_model.checkpoint import WEIGHTS, WorldModelFacts
from rwmu_train.world_model.ensemble import WorldModel

RANGE_ROWS = 200_000
"""Most rows from which the training ranges in a policy's facts are taken."""
SCORE_EVERY = 10
"""Iterations between candidates."""
SCORED_ROBOTS = 200
SCORING_SEED = 20_001


@dataclass(frozen=True)
class PolicyCallbacks:
    """Who wants to know how policy training goes; each may be None."""

    on_cloning_step: Callable[[int, float], None] | None = None
    on_iteration: Callable[[IterationReport, PolicyNetwork], None] | None = None


def train_policy(
    dataset: TransitionDataset,
    model: WorldModel,
    model_facts: WorldModelFacts,
    model_folder: Path,
    task: VelocityTask,
    preset: OfflinePreset,
    run_folder: Path,
    *,
    seed: int,
    callbacks: PolicyCallbacks | None = None,
) -> PolicyChoice:
    """Optimise a policy in imagination (MOPO-PPO, arXiv:2504.16680).

    Of the policies along the way the one with the best imagined score is saved in `run_folder`;
    the simulator takes no part in the choice.

    Args:
        dataset: Initial states of imagined episodes, and behaviour to start from.
        model: The trained world model.
        model_facts: Its normaliser, history and held-out figures.
        model_folder: Where it lies; its hash goes into the policy's facts.
        task: What is asked of the robot.
        preset: How it is trained.
        run_folder: Checkpoints and TensorBoard events go to its `ppo/`.
        seed: Seed of everything random here.
        callbacks: Progress.
    """
    callbacks = callbacks or PolicyCallbacks()
    spec = dataset.spec
    seed_everything(seed)
    median = model_facts.held_out.get("uncertainty_std_sum", {}).get("q50")

    def imagine(robots: int, seed: int) -> Dynamics:
        imagined = ImaginedDynamics(
            model,
            dataset,
            model_facts.normaliser,
            model_facts.history,
            replace(preset.imagination, robots=robots),
            seed=seed,
            data_median_uncertainty=median,
        )
        if preset.early_end is None:
            return imagined
        return EarlyEnd(imagined, spec, preset.early_end)

    dynamics = imagine(preset.imagination.robots, seed)
    settings = EnvSettings(preset.timing, preset.reward, preset.noise)
    env = VelocityEnv(spec, task, settings, dynamics, seed=seed)
    runner = PpoRunner(env, preset.ppo, run_folder / "ppo")
    if preset.cloning is not None:
        demonstrations = choose_demonstrations(dataset, preset.cloning)
        clone_behaviour(
            runner.actor,
            demonstrations,
            spec,
            preset.cloning,
            seed=seed,
            on_step=callbacks.on_cloning_step,
        )
        if preset.cloning.trust_region_weight > 0.0:
            held = CloneTrustRegion(
                runner.actor,
                demonstrations,
                spec,
                weight=preset.cloning.trust_region_weight,
                batch_size=preset.cloning.batch_size,
                seed=seed,
            )
            runner.add_actor_loss(held.loss)

    def score(candidate: PolicyNetwork) -> float:
        imagined = imagine(SCORED_ROBOTS, SCORING_SEED)
        return imagined_score(candidate, spec, task, settings, imagined, seed=SCORING_SEED)

    choice = PolicyChoice(PolicyNetwork.from_rsl_rl(runner.actor, spec), score)

    def after_iteration(report: IterationReport) -> None:
        candidate = PolicyNetwork.from_rsl_rl(runner.actor, spec)
        last = report.iteration == preset.ppo.iterations
        if report.iteration % SCORE_EVERY == 0 or last:
            choice.offer(report.iteration, candidate)
        if callbacks.on_iteration is not None:
            callbacks.on_iteration(report, candidate)

    runner.on_iteration = after_iteration
    runner.train()
    network = choice.network
    weights = (model_folder / WEIGHTS).read_bytes()
    save_policy(
        run_folder,
        network,
        PolicyFacts(
            robot=spec,
            task=task.name,
            command_range=CommandRange(task.command_lower, task.command_upper),
            training_method="mopo_ppo",
            run_name=run_folder.name,
            seed=seed,
            observation_range=_observation_range(dataset, task),
            action_range=TrainingRange.of(dataset.actions[_range_rows(dataset)]),
            data_sha256=_hash_by_file(dataset),
            world_model_sha256=hashlib.sha256(weights).hexdigest(),
        ),
    )
    return choice


def _hash_by_file(dataset: TransitionDataset) -> dict[str, str]:
    """By file name; with the folder before it where folders share names."""
    names = [file.path.name for file in dataset.files]
    return {
        name if names.count(name) == 1 else str(file.path): file.sha256
        for name, file in zip(names, dataset.files, strict=True)
    }


def _range_rows(dataset: TransitionDataset) -> np.ndarray:
    rows = dataset.member_rows()
    return rows[:: max(1, len(rows) // RANGE_ROWS)]


def _observation_range(dataset: TransitionDataset, task: VelocityTask) -> TrainingRange:
    """Ranges of observations in the data, under commands drawn as in training."""
    rows = _range_rows(dataset)
    rng = np.random.default_rng(0)
    command = rng.uniform(task.command_lower, task.command_upper, (len(rows), 3))
    return TrainingRange.of(
        build_observation(dataset.columns, dataset.states[rows], command, dataset.actions[rows])
    )
