"""`rwmu-train`: from logged transitions to a policy.

rwmu-train --task anymal_d_flat --preset quick --data DIR      world model, then policy
rwmu-train --stage world-model --data DIR                      the world model alone
rwmu-train --stage policy --data DIR --world-model DIR         the policy alone
rwmu-train --method online-ppo                                 PPO in the simulated robot

torchrun --nproc-per-node 2 -m -- rwmu_train.cli.train --stage world-model --data DIR
                                                               the same, on two processes

Each run leaves one folder: config.json, checkpoints, TensorBoard events, summary.json.
Exit code 0: trained. 2: bad input.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from rwmu_deploy.cli.command_line import EXIT_OK, CommandParser, run_command
from rwmu_deploy.contract.asset_folder import asset_path
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.simulation.robot_variant import NOMINAL, VARIANTS, find_variant
from rwmu_train.cli.training_display import TrainingDisplay
from rwmu_train.cli.wandb_mirror import mirrored_to_wandb, require_wandb
from rwmu_train.evaluation.simulated_score import SimulatedScore, score_in_simulation
from rwmu_train.evaluation.world_model.calibration_file import CALIBRATION, save_calibration
from rwmu_train.evaluation.world_model.held_out_calibration import calibrate_on_held_out
from rwmu_train.offline_training import PolicyCallbacks, train_policy
from rwmu_train.policy.policy_checkpoint import installed_versions
from rwmu_train.policy.policy_network import PolicyNetwork
from rwmu_train.policy.ppo_runner import IterationReport
from rwmu_train.preset_overrides import with_overrides
from rwmu_train.presets import (
    ONLINE_PPO,
    ONLINE_ROBOTS,
    PRESETS,
    OfflinePreset,
    find_preset,
    with_budget,
)
from rwmu_train.reference.online_ppo import train_online
from rwmu_train.run_folder import CONFIG, SUMMARY, create_run_folder, write_json
from rwmu_train.task.velocity_task import TASKS, VelocityTask, find_task
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.normaliser import NORMALISER_NAMES, StateNormaliser, choose_normaliser
from rwmu_train.transitions.source_mix import parse_mix, with_mix
from rwmu_train.world_model.batch_share import BatchShare
from rwmu_train.world_model.checkpoint import load_world_model
from rwmu_train.world_model.data_parallel import joined_processes, wait_for_all
from rwmu_train.world_model.training import WorldModelProgress, train_world_model
from rwmu_train.world_model.training_data import data_notes


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_command(lambda: _joined(arguments))


def _joined(arguments: Sequence[str] | None) -> int:
    with joined_processes() as share:
        return _main(arguments, share)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="rwmu-train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--task", default="anymal_d_flat", help=f"one of {', '.join(TASKS)}")
    add("--method", choices=("mopo-ppo", "online-ppo"), default="mopo-ppo")
    add("--stage", choices=("all", "world-model", "policy"), default="all")
    add("--preset", default="quick", help=f"one of {', '.join(PRESETS)}")
    add(
        "--data",
        type=Path,
        nargs="+",
        action="extend",
        help="folders of transitions (default: the shipped sample)",
    )
    add(
        "--mix",
        nargs="+",
        metavar="SOURCE=SHARE",
        help="share of each source in every batch, as in sim=0.8 real=0.2",
    )
    add(
        "--leave-out-refused",
        action="store_true",
        help="train without the files that can't be read or trusted; they are named",
    )
    add("--world-model", type=Path, help="a trained world model to use as it is")
    add("--run", type=Path, help="run folder (default: runs/TASK-METHOD-TIME)")
    add("--seed", type=int, default=0)
    add("--resume", action="store_true", help="go on with the world model in --run")
    add("--device", default="cpu", help="cpu (default), or a CUDA device")
    add("--threads", type=int, default=0, help="torch threads (default: all processors)")
    add("--world-model-iterations", type=int, help="instead of the preset's")
    add("--policy-iterations", type=int, help="instead of the preset's")
    add("--robots", type=int, help="imagined or simulated robots, instead of the preset's")
    add("--normaliser", choices=NORMALISER_NAMES, help="of states, instead of the preset's")
    add(
        "--set",
        dest="overrides",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="settings instead of the preset's, as in world_model.loss=gaussian_nll "
        "world_model.bootstrap=resample; config.json lists them all",
    )
    add("--wandb", metavar="PROJECT", help="mirror the events to Weights & Biases")
    add("--lambda", dest="uncertainty_weight", type=float, help="weight of the uncertainty")
    add(
        "--eval-every",
        type=int,
        default=0,
        help="score the policy in the simulated robot every N iterations, for information only",
    )
    add(
        "--score-variant",
        default=NOMINAL.name,
        help=f"simulated robot that policies are scored on, one of {', '.join(VARIANTS)}; "
        "training never sees it",
    )
    return parser


def _main(arguments: Sequence[str] | None, share: BatchShare) -> int:
    options = _parser().parse_args(arguments)
    _refuse_other_stages(options, share)
    task = find_task(options.task)
    find_variant(options.score_variant)
    spec = load_robot_spec(task.robot)
    _use_device(options)
    require_wandb(options.wandb)
    if options.method == "online-ppo":
        return _train_online(options, task, spec)
    return _train_offline(options, task, spec, share)


def _refuse_other_stages(options: argparse.Namespace, share: BatchShare) -> None:
    """Several processes train a world model and nothing else."""
    if share.processes > 1 and (
        options.stage != "world-model"
        or options.method != "mopo-ppo"
        or options.world_model is not None
    ):
        raise ConfigError(
            f"{share.processes} processes were started; several can train only a world model",
            fix="Use --stage world-model without --world-model, or start one process.",
        )
    if options.method == "online-ppo" and options.overrides:
        raise ConfigError("--set is for --method mopo-ppo", fix="Leave it out.")


def _use_device(options: argparse.Namespace) -> None:
    if options.device != "cpu":
        if not torch.cuda.is_available():
            raise ConfigError(
                f"--device {options.device} can't be used: there is no CUDA device here",
                fix="Use --device cpu.",
            )
        if options.stage != "world-model" or options.method != "mopo-ppo":
            raise ConfigError(
                f"--device {options.device} can't be used: only world models train on a GPU",
                fix="Use --stage world-model, or --device cpu.",
            )
    if options.threads > 0:
        torch.set_num_threads(options.threads)


def _train_online(options: argparse.Namespace, task: VelocityTask, spec: RobotSpec) -> int:
    robots = options.robots or ONLINE_ROBOTS
    settings = ONLINE_PPO
    if options.policy_iterations is not None:
        settings = type(settings)(**{**vars(settings), "iterations": options.policy_iterations})
    run = create_run_folder(options.run or _default_run(options))
    _write_config(run, options, {"ppo": settings, "robots": robots}, task, spec)
    began = time.monotonic()
    with TrainingDisplay(Console()) as display:
        report = display.policy_stage("online PPO", settings.iterations)
        policy = train_online(
            spec, task, settings, run, robots=robots, seed=options.seed, on_iteration=report
        )
    score = score_in_simulation(policy, spec, task, variant=find_variant(options.score_variant))
    _finish(run, {"seconds": time.monotonic() - began, "simulated": score.to_dict()})
    return EXIT_OK


def _train_offline(
    options: argparse.Namespace, task: VelocityTask, spec: RobotSpec, share: BatchShare
) -> int:
    preset = _preset(options)
    if options.stage == "policy" and options.world_model is None:
        raise ConfigError(
            "--stage policy needs --world-model DIR",
            fix="Name a trained world model, or use --stage all.",
        )
    data = options.data or [asset_path("data", task.name)]
    dataset = _load(data, options, spec, share)
    given = None if options.world_model is None else load_world_model(options.world_model, spec)
    notes = dataset.notes
    if given is None:
        preset.world_model.refuse_uneven_shares(share.processes)
        notes += data_notes(dataset, preset.world_model, options.seed)
    normaliser = choose_normaliser(preset.normaliser, dataset)
    place = options.run or _default_run(options)
    if not share.is_first:
        _train_model(dataset, normaliser, preset, place, options, share)
        return EXIT_OK
    run = create_run_folder(place, resume=options.resume)
    if not options.resume:
        _write_config(run, options, preset, task, spec)
    summary: dict[str, Any] = {
        "data": [str(place) for place in data],
        "rows": dataset.row_count,
        "data_sha256": list(dataset.file_sha256),
        "mix": dataset.mix,
        "refused": list(dataset.refused),
        "notes": list(notes),
    }
    began = time.monotonic()
    with mirrored_to_wandb(options.wandb, run), TrainingDisplay(Console()) as display:
        for note in notes:
            display.say(f"note: {note}")
        if given is not None:
            (model, facts), folder = given, Path(str(options.world_model))
        else:
            folder = run / "world_model"
            on_progress = display.world_model_stage(preset.world_model.iterations)
            _train_model(dataset, normaliser, preset, run, options, share, on_progress)
            model, facts = load_world_model(folder, spec)
            (folder / CALIBRATION).unlink(missing_ok=True)  # of the model before a --resume
            calibrations = calibrate_on_held_out(model, facts, dataset)
            save_calibration(folder, calibrations, dataset.file_sha256)
        summary |= {
            "world_model": str(folder),
            "held_out": dict(facts.held_out),
            "world_model_seconds": time.monotonic() - began,
        }
        if options.stage != "world-model":
            began = time.monotonic()
            scores: list[dict[str, Any]] = []
            choice = train_policy(
                dataset,
                model,
                facts,
                folder,
                task,
                preset,
                run,
                seed=options.seed,
                callbacks=_callbacks(options, preset, task, spec, display, scores),
            )
            summary["policy_seconds"] = time.monotonic() - began
            summary["simulated_while_training"] = scores
            summary["selection"] = {
                "rule": "best mean reward in imagination; the simulator took no part",
                "iteration": choice.iteration,
                "imagined_score": choice.scores,
            }
            display.say(
                f"chosen by imagined score: iteration {choice.iteration} of "
                + ", ".join(f"{i}: {score:.4f}" for i, score in choice.scores.items())
            )
            score = score_in_simulation(
                choice.network, spec, task, variant=find_variant(options.score_variant)
            )
            summary["simulated"] = score.to_dict()
    _finish(run, summary)
    return EXIT_OK


def _preset(options: argparse.Namespace) -> OfflinePreset:
    preset = with_budget(
        find_preset(options.preset),
        world_model_iterations=options.world_model_iterations,
        policy_iterations=options.policy_iterations,
        robots=options.robots,
        uncertainty_weight=options.uncertainty_weight,
        normaliser=options.normaliser,
    )
    return with_overrides(preset, options.overrides)


def _load(
    data: Sequence[Path], options: argparse.Namespace, spec: RobotSpec, share: BatchShare
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


def _train_model(
    dataset: TransitionDataset,
    normaliser: StateNormaliser,
    preset: OfflinePreset,
    run: Path,
    options: argparse.Namespace,
    share: BatchShare,
    on_progress: Callable[[WorldModelProgress], None] | None = None,
) -> None:
    """Train the world model; the run's folder then holds the best one on held-out episodes."""
    train_world_model(
        dataset,
        normaliser,
        preset.world_model,
        run / "world_model",
        seed=options.seed,
        resume=options.resume,
        on_progress=on_progress,
        share=share,
        device=share.device(options.device),
    )


def _callbacks(
    options: argparse.Namespace,
    preset: OfflinePreset,
    task: VelocityTask,
    spec: RobotSpec,
    display: TrainingDisplay,
    scores: list[dict[str, Any]],
) -> PolicyCallbacks:
    cloning = None
    if preset.cloning is not None:
        cloning = display.cloning_stage(preset.cloning.steps)
    report_iteration = display.policy_stage("policy in imagination", preset.ppo.iterations)

    def on_iteration(report: IterationReport, policy: PolicyNetwork) -> None:
        report_iteration(report)
        if options.eval_every > 0 and report.iteration % options.eval_every == 0:
            score = score_in_simulation(
                policy,
                spec,
                task,
                robots=50,
                seconds=10.0,
                variant=find_variant(options.score_variant),
            )
            scores.append({"iteration": report.iteration, **score.to_dict()})
            display.say(_score_line(f"iteration {report.iteration}", score))

    return PolicyCallbacks(cloning, on_iteration)


def _score_line(what: str, score: SimulatedScore) -> str:
    return (
        f"{what}: in the simulated robot ({score.variant}) linear tracking "
        f"{score.linear_tracking:.3f}, yaw {score.yaw_tracking:.3f}, falls {score.fall_share:.0%}"
    )


def _default_run(options: argparse.Namespace) -> Path:
    return Path("runs") / f"{options.task}-{options.method}-{time.strftime('%Y%m%d-%H%M%S')}"


def _write_config(
    run: Path, options: argparse.Namespace, settings: Any, task: VelocityTask, spec: RobotSpec
) -> None:
    document = {
        "command": dict(vars(options)),
        "task": task,
        "settings": settings,
        "robot_sha256": spec.sha256,
        "versions": installed_versions(),
    }
    write_json(run / CONFIG, document)


def _finish(run: Path, summary: dict[str, Any]) -> None:
    write_json(run / SUMMARY, summary)
    console = Console()
    score = summary.get("simulated")
    if score is not None:
        console.print(_score_line("done", SimulatedScore(**score)))
    console.print(f"Run folder: {run}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
