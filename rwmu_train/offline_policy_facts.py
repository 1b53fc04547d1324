"""What a policy's facts say about the offline training that it came from."""

from __future__ import annotations

import numpy as np

from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.observation import build_observation
from rwmu_train.environment.observation_torch import ActorView
from rwmu_train.policy.policy_checkpoint import PolicyFacts
from rwmu_train.task.velocity_task import ObservationNoise, VelocityTask
from rwmu_train.transitions.dataset import TransitionDataset

RANGE_ROWS = 200_000
"""Most rows from which the training ranges are taken."""


def offline_policy_facts(
    dataset: TransitionDataset,
    task: VelocityTask,
    noise: ObservationNoise,
    world_model_sha256: str,
    *,
    run_name: str,
    seed: int,
) -> PolicyFacts:
    """Facts of a policy that was trained in the imagination of a world model."""
    return PolicyFacts(
        robot=dataset.spec,
        task=task.name,
        command_range=CommandRange(task.command_lower, task.command_upper),
        training_method="mopo_ppo",
        run_name=run_name,
        seed=seed,
        observation_range=_observation_range(dataset, task, noise),
        action_range=TrainingRange.of(dataset.actions[_range_rows(dataset)]),
        data_sha256=_hash_by_file(dataset),
        world_model_sha256=world_model_sha256,
    )


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


def _observation_range(
    dataset: TransitionDataset, task: VelocityTask, noise: ObservationNoise
) -> TrainingRange:
    """Ranges of observations in the data, under commands drawn as in training.

    What the policy does not see was 0 there: the robot, too, has no yardstick for it then.
    """
    rows = _range_rows(dataset)
    rng = np.random.default_rng(0)
    command = rng.uniform(task.command_lower, task.command_upper, (len(rows), 3))
    observation = build_observation(
        dataset.columns, dataset.states[rows], command, dataset.actions[rows]
    )
    return TrainingRange.of(observation * ActorView(dataset.spec, noise).seen.numpy())
