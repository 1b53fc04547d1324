"""Online PPO in the simulated robot: the source of behaviour policies, and the yardstick.

It starts from random weights, or from what another policy does (`taught_start`). Two things make
it learn to walk within five million steps: the reward is clipped at zero, so that falling early
never pays, and episodes end early (`early_end`), so that standing low never pays either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_deploy.simulation.robot_variant import NOMINAL, RobotVariant
from rwmu_train.environment.early_end import EarlyEnd, EarlyEndLimits
from rwmu_train.environment.simulated_dynamics import SimulatedDynamics
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.policy.demonstrator import Teaches
from rwmu_train.policy.policy_checkpoint import PolicyFacts, save_policy
from rwmu_train.policy.policy_network import PolicyNetwork
from rwmu_train.policy.ppo_resume import environment_seed, load_progress, save_progress
from rwmu_train.policy.ppo_runner import IterationReport, PpoRunner, seed_everything
from rwmu_train.policy.ppo_settings import PpoSettings
from rwmu_train.policy.teacher import what_it_is
from rwmu_train.processes.process_share import ALONE, ProcessShare
from rwmu_train.reference.taught_start import learn_from
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
    timing: EpisodeTiming | None = None,
    noise: ObservationNoise | None = None,
    resume: bool = False,
    share: ProcessShare = ALONE,
    teacher: Teaches | None = None,
    earlier_stages: int = 0,
    variant: RobotVariant = NOMINAL,
    on_begin: Callable[[int], None] | None = None,
    on_teaching_step: Callable[[int, float], None] | None = None,
    on_iteration: Callable[[IterationReport], None] | None = None,
) -> PolicyNetwork:
    """Train with PPO on physics; policies of all stages are kept under `stages/`.

    Args:
        spec: The robot.
        task: What is asked of it.
        settings: PPO's settings.
        run_folder: Stages, checkpoint, TensorBoard events and the policy go here.
        robots: How many are simulated.
        seed: Seed of everything random here.
        timing: Of episodes, commands and pushes; the published one when None. Commands may come
            more often in the later part of a training: a resumed one takes other `command_steps`.
        noise: What the actor sees, and how well; all of it with the published noise when None.
        resume: Go on with what is in `run_folder`, from its start where nothing is (see
            `ppo_resume`).
        share: Of the processes that train together; the first alone writes and reports.
        teacher: Whose answers the first policy is taught; without, it has random weights.
        earlier_stages: Of the run that the teacher comes from; see `PolicyFacts`.
        variant: The robots that it trains on.
        on_begin: Told the iterations done before, where some are left to be done.
        on_teaching_step: Progress of teaching: steps done, and the latest squared error.
        on_iteration: Progress.

    Returns:
        The last policy, also saved in `run_folder` by the first process.

    Raises:
        ConfigError: What is in `run_folder` is of other settings, or robots can't be divided
            among the processes.
        CheckpointError: It is torn or altered.
    """
    ppo = run_folder / "ppo"
    timing, noise = timing or EpisodeTiming(), noise or ObservationNoise()
    run = {
        **{f"timing.{name}": value for name, value in asdict(timing).items()},
        **{f"noise.{name}": value for name, value in asdict(noise).items()},
        **{f"ppo.{name}": value for name, value in asdict(settings).items()},
        "task": task.what_is_asked(),
        "seed": seed,
        "robots": robots,
        "robot_sha256": spec.sha256,
        **what_it_is(teacher),
        **({} if variant == NOMINAL else {"variant": variant.to_dict()}),
    }
    begin = load_progress(ppo, run) if resume else None
    done = 0 if begin is None else begin.iteration
    if on_begin is not None and share.is_first and done < settings.iterations:
        on_begin(done)
    seed_now = environment_seed(seed, done)
    seed_everything(seed)
    own_seed = share.own_seed(seed_now)
    own_robots = share.own_count(robots, "robots")
    with RobotBatch(
        spec, own_robots, seed=own_seed, threads=share.own_threads(), variant=variant
    ) as batch:
        env = VelocityEnv(
            spec,
            task,
            EnvSettings(timing, REWARD, noise),
            EarlyEnd(
                SimulatedDynamics(batch),
                spec,
                EarlyEndLimits(),
                lambda: torch.from_numpy(batch.base_position_m[:, 2]),
            ),
            seed=own_seed,
        )
        runner = PpoRunner(env, settings, ppo, share)
        if begin is not None:
            begin.restore(runner)
        elif teacher is not None:
            learn_from(teacher, runner, env, seed=own_seed, on_step=on_teaching_step)

        def after_iteration(report: IterationReport) -> None:
            is_stage = report.iteration % settings.checkpoint_every == 0
            if is_stage:
                stage = run_folder / "stages" / f"iteration_{report.iteration:06d}"
                save_policy(stage, PolicyNetwork.from_rsl_rl(runner.actor, spec), facts)
            if is_stage or report.iteration == settings.iterations:
                save_progress(ppo, runner, report.iteration, run)
            if on_iteration is not None:
                on_iteration(report)

        facts = PolicyFacts(
            robot=spec,
            task=task.name,
            command_range=CommandRange(task.command_lower, task.command_upper),
            training_method="online_ppo",
            run_name=run_folder.name,
            seed=seed,
            earlier_stages=earlier_stages,
        )
        runner.on_iteration = after_iteration
        runner.train()
    network = PolicyNetwork.from_rsl_rl(runner.actor, spec)
    if share.is_first:
        save_policy(run_folder, network, facts)
    return network
