"""The offline pipeline: transitions -> world model -> imagined PPO -> policy. No simulator."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rwmu_deploy.contract.errors import CheckpointError
from rwmu_train.imagined_ppo import ImaginedPpo, PolicyCallbacks
from rwmu_train.offline_policy_facts import offline_policy_facts
from rwmu_train.policy.policy_checkpoint import load_policy, save_policy, weights_sha256
from rwmu_train.policy.policy_choice import PolicyChoice
from rwmu_train.policy.policy_network import PolicyNetwork
from rwmu_train.policy.ppo_resume import load_progress
from rwmu_train.policy.teacher import Teacher
from rwmu_train.presets import OfflinePreset
from rwmu_train.processes.process_share import ALONE, ProcessShare
from rwmu_train.run_identity import what_a_run_is_of
from rwmu_train.task.velocity_task import VelocityTask
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.world_model.checkpoint import WEIGHTS, WorldModelFacts
from rwmu_train.world_model.ensemble import WorldModel

PPO = "ppo"
"""Folder of checkpoint and events, inside a run's."""


@dataclass(frozen=True)
class Judge:
    """What chooses among the policies along a training, where imagination is not to."""

    name: str
    """Stays with the run: a training does not resume under another judge."""
    score: Callable[[PolicyNetwork], float]
    """More is better."""


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
    resume: bool = False,
    judge: Judge | None = None,
    teacher: Teacher | None = None,
    share: ProcessShare = ALONE,
    device: str = "cpu",
    callbacks: PolicyCallbacks | None = None,
) -> PolicyChoice:
    """Optimise a policy in imagination (MOPO-PPO, arXiv:2504.16680).

    Of the policies along the way the one with the best score is saved in `run_folder`. The score
    is the imagined one, and the simulator takes no part, unless a judge is given.

    Args:
        dataset: Initial states of imagined episodes, and behaviour to start from.
        model: The trained world model.
        model_facts: Its normaliser, history and held-out figures.
        model_folder: Where it lies; its hash goes into the policy's facts.
        task: What is asked of the robot.
        preset: How it is trained.
        run_folder: Checkpoint and TensorBoard events go to its `ppo/`.
        seed: Seed of everything random here.
        resume: Go on with what is in `run_folder`, from the start where nothing is (see
            `ppo_resume`).
        judge: What chooses instead of the imagined score.
        teacher: Whose actions are cloned, instead of those in the data.
        share: Of the processes that train together. The first alone scores, writes and reports;
            what the others return is not the choice.
        device: Where imagination and PPO run.
        callbacks: Progress.

    Raises:
        ConfigError: What is in `run_folder` is of other settings, data or world model.
        CheckpointError: It is torn or altered.
    """
    training = ImaginedPpo(dataset, model, model_facts, task, preset, seed, teacher, share, device)
    world_model_sha256 = _sha256_of(model_folder)
    run = _run_of(training, world_model_sha256, judge)
    folder = run_folder / PPO
    begin = load_progress(folder, run) if resume else None
    score = training.score if judge is None else judge.score
    if not share.is_first:
        score = _no_score
    if begin is not None and begin.iteration >= preset.ppo.iterations:
        choice = begin.choice(dataset.spec, preset.ppo.hidden, score)
    else:
        choice = training.train(folder, run, begin, score, callbacks or PolicyCallbacks())
    if share.is_first and not _is_saved(run_folder, choice.network):
        facts = offline_policy_facts(
            dataset, task, preset.noise, world_model_sha256, run_name=run_folder.name, seed=seed
        )
        save_policy(run_folder, choice.network, facts)
    return choice


def last_policy(training: ImaginedPpo, model_folder: Path, run_folder: Path) -> PolicyNetwork:
    """The policy that `train_policy`, without a judge, has come to, chosen or not.

    Args:
        training: What was trained.
        model_folder: Of its world model.
        run_folder: What `train_policy` was given.

    Raises:
        ConfigError: What is in `run_folder` is of other settings, data or world model.
        CheckpointError: There is nothing, or it is torn or altered.
    """
    folder = run_folder / PPO
    progress = load_progress(folder, _run_of(training, _sha256_of(model_folder), None))
    if progress is None:
        raise CheckpointError(
            f"{folder} holds no training of a policy", fix="Train one there first."
        )
    return training.policy_of(progress, folder)


def _sha256_of(model_folder: Path) -> str:
    return hashlib.sha256((model_folder / WEIGHTS).read_bytes()).hexdigest()


def _run_of(training: ImaginedPpo, world_model_sha256: str, judge: Judge | None) -> dict[str, Any]:
    return what_a_run_is_of(
        training.preset,
        training.task,
        training.dataset,
        normaliser=training.model_facts.normaliser.name,
        world_model_sha256=world_model_sha256,
        seed=training.seed,
        judge="imagination" if judge is None else judge.name,
        teacher=training.teacher,
    )


def _no_score(_: PolicyNetwork) -> float:
    return 0.0


def _is_saved(folder: Path, network: PolicyNetwork) -> bool:
    try:
        saved, _ = load_policy(folder)
    except CheckpointError:
        return False
    return weights_sha256(saved) == weights_sha256(network)
