"""`rwmu-train --method mopo-ppo`: transitions -> world model -> policy, without a simulator."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from rwmu_deploy.cli.command_line import EXIT_OK
from rwmu_deploy.contract.asset_folder import asset_path
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.cli.fine_tuning import find_beginning
from rwmu_train.cli.policy_stage import PolicyStage
from rwmu_train.cli.train_options import offline_preset
from rwmu_train.cli.train_run import finished_summary, open_run, run_place, say_end
from rwmu_train.cli.train_seeds import seed_folders, train_all
from rwmu_train.cli.training_display import TrainingDisplay
from rwmu_train.cli.wandb_mirror import mirrored_to_wandb
from rwmu_train.cli.world_model_stage import WorldModelStage
from rwmu_train.imagined_ppo import ImaginedPpo
from rwmu_train.needed_disagreement import refuse_blind_penalties
from rwmu_train.processes.joined_processes import wait_for_all
from rwmu_train.processes.process_share import ProcessShare
from rwmu_train.run_folder import SUMMARY, write_json
from rwmu_train.task.velocity_task import VelocityTask
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.normaliser import choose_normaliser
from rwmu_train.transitions.source_mix import parse_mix, with_mix
from rwmu_train.world_model.checkpoint import load_world_model
from rwmu_train.world_model.training_data import data_notes


def train_offline(
    options: argparse.Namespace, task: VelocityTask, spec: RobotSpec, share: ProcessShare
) -> int:
    """Train the stages that are asked for and not finished yet."""
    beginning = find_beginning(options, spec)
    preset = offline_preset(options, beginning.world_model)
    places = options.data or [asset_path("data", task.name)]
    dataset = _load(places, options, spec, share)
    given = None if options.world_model is None else load_world_model(options.world_model, spec)
    if options.stage != "world-model":
        members = preset.world_model.members if given is None else given[1].architecture.members
        refuse_blind_penalties(preset, members)
    notes = dataset.notes
    if given is not None:
        ImaginedPpo(dataset, *given, task, preset, options.seed, beginning.teacher).check()
    else:
        preset.world_model.refuse_uneven_shares(share.processes)
        notes += data_notes(dataset, preset.world_model, options.seed)
    place = run_place(options)
    stage = WorldModelStage(
        dataset,
        beginning.normaliser or choose_normaliser(preset.normaliser, dataset),
        preset.world_model,
        place / "world_model",
        seed=options.seed,
        resume=options.resume,
        share=share,
        device=share.device(options.device),
        start=beginning.world_model,
    )
    folder = stage.folder if given is None else Path(str(options.world_model))
    policies = partial(
        PolicyStage,
        options,
        task,
        preset,
        dataset,
        model_folder=folder,
        teacher=beginning.teacher,
        share=share,
    )
    if not share.is_first:
        if given is None:
            stage.train()
            wait_for_all(share)
            given = load_world_model(folder, spec)
        if options.stage != "world-model":
            silent = TrainingDisplay(Console(quiet=True))
            along = policies(model=given[0], facts=given[1], display=silent)
            for seed, own_folder in seed_folders(options, place):
                along.choose(seed, own_folder)
        return EXIT_OK
    run = open_run(place, options, preset, task, spec)
    about: dict[str, Any] = {
        "data": [str(place) for place in places],
        "rows": dataset.row_count,
        "data_sha256": list(dataset.file_sha256),
        "mix": dataset.mix,
        "refused": list(dataset.refused),
        "notes": list(notes),
        "resumed": options.resume,  # then seconds count from there
        **beginning.to_dict(),
    }
    console = Console()
    with mirrored_to_wandb(options.wandb, run), TrainingDisplay(console) as display:
        for note in notes:
            display.say(f"note: {note}")
        if given is None:
            began = time.monotonic()
            given = stage.finish(run, display)
            wait_for_all(share)
            about["world_model_seconds"] = time.monotonic() - began
        model, facts = given
        about |= {"world_model": str(folder), "held_out": dict(facts.held_out)}
        if options.stage == "world-model":
            summary, was_finished = _model_alone(run, about)
        else:
            train_one = partial(policies(model=model, facts=facts, display=display).train, about)
            title = "policy in imagination"
            summary, was_finished = train_all(options, run, train_one, title, about)
    say_end(console, run, summary, was_finished)
    return EXIT_OK


def _model_alone(run: Path, about: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    summary = finished_summary(run)
    if summary is not None:
        return summary, True
    write_json(run / SUMMARY, about)
    return about, False


def _load(
    data: Sequence[Path], options: argparse.Namespace, spec: RobotSpec, share: ProcessShare
) -> TransitionDataset:
    """The data; one process parses, the others find its cache."""
    if not share.is_first:
        wait_for_all(share)
    dataset = load_dataset(data, spec, leave_out_refused=options.leave_out_refused)
    if options.mix is not None:
        dataset = with_mix(dataset, parse_mix(options.mix))
    if share.is_first:
        wait_for_all(share)
    return dataset
