"""Online PPO in the simulated robot: the source of behaviour policies, and the yardstick.

It starts from random weights. Two things make it learn to walk within five million steps: the
reward is clipped at zero, so that falling early never pays, and episodes end early (`early_end`),
so that standing low never pays either.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_train.environment.early_end import EarlyEnd, EarlyEndLimits
from rwmu_train.environment.simulated_dynamics import SimulatedDynamics
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.policy.policy_checkpoint import PolicyFacts, save_policy
from rwmu_train.policy.policy_network import PolicyNetwork
from rwmu_train.policy.ppo_runner import IterationReport, PpoRunner, seed_everything
from rwmu_train.policy.ppo_settings import PpoSettings
from rwmu_train.task.velocity_task import (
    EpisodeTiming,
    ObservationNoise,
    RewardShape,
    VelocityTask,
)

REWARD = RewardShape(clip_at_zero=True, termination_penalty=0.0, tracking_factor=2.0)
"""With the published weights a robot that stands still earns about as much as one that walks
roughly; twice the tracking makes walking pay."""


def train_online(
    spec: RobotSpec,
    task: VelocityTask,
    settings: PpoSettings,
    run_folder: Path,
    *,
    robots: int,
    seed: int,
    on_iteration: Callable[[IterationReport], None] | None = None,
) -> PolicyNetwork:
    """Train with PPO on physics; policies of all stages are kept under `stages/`.

    Returns:
        The last policy, also saved in `run_folder`.
    """
    seed_everything(seed)
    with RobotBatch(spec, robots, seed=seed) as batch:
        env = VelocityEnv(
            spec,
            task,
            EnvSettings(EpisodeTiming(), REWARD, ObservationNoise()),
            EarlyEnd(
                SimulatedDynamics(batch),
                spec,
                EarlyEndLimits(),
                lambda: torch.from_numpy(batch.base_position_m[:, 2]),
            ),
            seed=seed,
        )
        runner = PpoRunner(env, settings, run_folder / "ppo")

        def after_iteration(report: IterationReport) -> None:
            if report.iteration % settings.checkpoint_every == 0:
                stage = run_folder / "stages" / f"iteration_{report.iteration:06d}"
                save_policy(stage, PolicyNetwork.from_rsl_rl(runner.actor, spec), facts)
            if on_iteration is not None:
                on_iteration(report)

        facts = PolicyFacts(
            robot=spec,
            task=task.name,
            command_range=CommandRange(task.command_lower, task.command_upper),
            training_method="online_ppo",
            run_name=run_folder.name,
            seed=seed,
        )
        runner.on_iteration = after_iteration
        runner.train()
    network = PolicyNetwork.from_rsl_rl(runner.actor, spec)
    save_policy(run_folder, network, facts)
    return network
