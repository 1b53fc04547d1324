"""`rwmu-train --method online-ppo`: PPO in the simulated robot."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from rwmu_deploy.cli.command_line import EXIT_OK
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.simulation.robot_variant import find_variant
from rwmu_train.cli.train_run import finished_summary, on_begin, open_run, run_place, say_end
from rwmu_train.cli.train_seeds import seed_folders, train_all
from rwmu_train.cli.training_display import TrainingDisplay
from rwmu_train.evaluation.simulated_score import score_in_simulation
from rwmu_train.gait.gait_teacher import load_gait_teacher
from rwmu_train.policy.demonstrator import Teaches
from rwmu_train.policy.teacher import load_teacher
from rwmu_train.preset_overrides import with_overrides
from rwmu_train.presets import OnlinePreset, online_preset
from rwmu_train.processes.process_share import ProcessShare
from rwmu_train.reference.collector import collector_of
from rwmu_train.reference.online_ppo import train_online
from rwmu_train.reference.taught_start import CLONING, ROUNDS, TAUGHT
from rwmu_train.run_folder import SUMMARY, write_json
from rwmu_train.task.velocity_task import VelocityTask

GAIT = "gait"
"""What --start-from names instead of a folder; one of that name is ./gait."""


def train_in_simulation(
    options: argparse.Namespace, task: VelocityTask, spec: RobotSpec, share: ProcessShare
) -> int:
    """Train one policy, or one for each seed."""
    preset = with_overrides(_with_budget(options, task), options.overrides)
    settings = preset.ppo
    variant = find_variant(options.score_variant)
    train = partial(
        train_online,
        spec,
        task,
        settings,
        robots=preset.robots,
        timing=preset.timing,
        noise=preset.noise,
        resume=options.resume,
        share=share,
        teacher=_teacher(options.start_from, spec),
        earlier_stages=_stages_until(options.start_from),
        variant=find_variant(options.train_variant),
    )
    place = run_place(options)
    if not share.is_first:
        for seed, folder in seed_folders(options, place):
            train(folder, seed=seed)
        return EXIT_OK
    run = open_run(place, options, preset, task, spec)

    def train_one(seed: int, folder: Path, title: str) -> tuple[dict[str, Any], bool]:
        began = time.monotonic()
        policy = train(
            folder,
            seed=seed,
            on_begin=on_begin(folder, title, display.say),
            on_teaching_step=display.cloning_stage(ROUNDS * CLONING.steps),
            on_iteration=display.policy_stage(title, settings.iterations),
        )
        summary = finished_summary(folder, variant.name)
        if summary is not None:
            return summary, True
        seconds = time.monotonic() - began
        score = score_in_simulation(policy, spec, task, variant=variant)
        summary = {
            "seed": seed,
            "resumed": options.resume,  # then seconds count from there
            "seconds": seconds,
            "simulated": score.to_dict(),
        }
        write_json(folder / SUMMARY, summary)
        return summary, False

    console = Console()
    with TrainingDisplay(console) as display:
        summary, was_finished = train_all(options, run, train_one, "online PPO", {})
    say_end(console, run, summary, was_finished)
    return EXIT_OK


def _teacher(source: str | None, spec: RobotSpec) -> Teaches | None:
    if source is None:
        return None
    return load_gait_teacher(spec) if source == GAIT else load_teacher(Path(source), spec)


def _stages_until(source: str | None) -> int:
    """Of the training that is gone on from; 0 where nobody counted them."""
    if source is None or source == GAIT:
        return 0
    generation = collector_of(Path(source)).generation
    return 0 if generation is None else generation + 1


def _with_budget(options: argparse.Namespace, task: VelocityTask) -> OnlinePreset:
    preset = online_preset(task)
    if options.start_from is not None:
        preset = replace(preset, ppo=replace(preset.ppo, **TAUGHT))
    if options.policy_iterations is not None:
        preset = replace(preset, ppo=replace(preset.ppo, iterations=options.policy_iterations))
    if options.robots is not None:
        preset = replace(preset, robots=options.robots)
    return preset
