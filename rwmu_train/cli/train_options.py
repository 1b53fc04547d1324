"""Options of `rwmu-train`, and which of them can't go together."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from rwmu_deploy.cli.command_line import CommandParser
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.simulation.robot_variant import NOMINAL, VARIANTS
from rwmu_train.preset_overrides import with_overrides
from rwmu_train.presets import PRESETS, OfflinePreset, find_preset, with_budget
from rwmu_train.processes.process_share import ProcessShare
from rwmu_train.task.velocity_task import DEFAULT_TASK, TASKS, find_task
from rwmu_train.transitions.normaliser import NORMALISER_NAMES
from rwmu_train.world_model.start import WorldModelStart


def train_parser(description: str) -> argparse.ArgumentParser:
    """The parser of `rwmu-train`."""
    parser = CommandParser(
        prog="rwmu-train",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--task", default=DEFAULT_TASK, help=f"one of {', '.join(TASKS)}")
    add("--method", choices=("mopo-ppo", "online-ppo"), default="mopo-ppo")
    add("--stage", choices=("all", "world-model", "policy"), default="all")
    add(
        "--preset",
        help=f"one of {', '.join(PRESETS)} (default quick; with --resume-from fine_tune)",
    )
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
    add(
        "--resume-from",
        type=Path,
        metavar="BUNDLE",
        help="bundle or run whose policy is fine-tuned: it acts on the data first, then PPO goes "
        "on from it; its world model too (see --world-model-from), by preset fine_tune",
    )
    add(
        "--world-model-from",
        type=Path,
        metavar="DIR",
        help="world model whose weights training begins with (default with --resume-from: the "
        "one that the bundle was trained in, where it is here)",
    )
    add(
        "--start-from",
        metavar="BUNDLE|gait",
        help="with --method online-ppo: bundle or run whose answers the first policy is taught, "
        "or the gait that the robot's gait.yaml describes",
    )
    add(
        "--train-variant",
        default=NOMINAL.name,
        help="with --method online-ppo: simulated robots that it trains on, one of "
        f"{', '.join(VARIANTS)}",
    )
    add("--run", type=Path, help="run folder (default: runs/TASK-METHOD-TIME)")
    add("--seed", type=int, default=0)
    add(
        "--seeds",
        type=int,
        metavar="N",
        help="train N policies, with seeds SEED, SEED + 1, ..., one after the other in RUN/seed_*",
    )
    add("--resume", action="store_true", help="go on with what --run holds, wherever it stopped")
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
        "--select",
        choices=("imagined", "sim"),
        default="imagined",
        help="choose among the policies along the training by their score in imagination "
        "(default; no simulator), or in the simulated robot",
    )
    add(
        "--score-variant",
        default=NOMINAL.name,
        help=f"simulated robot that policies are scored on, one of {', '.join(VARIANTS)}",
    )
    return parser


def refuse_contradictions(options: argparse.Namespace, share: ProcessShare) -> None:
    """Refuse options that are nothing together.

    Raises:
        ConfigError: There are such.
    """
    offline = options.method == "mopo-ppo"
    if share.processes > 1 and options.run is None:
        raise ConfigError(
            f"{share.processes} processes were started, which need one folder",
            fix="Name it with --run DIR.",
        )
    for option, given in (
        ("--select sim", options.select == "sim"),
        ("--eval-every", options.eval_every),
        ("--lambda", options.uncertainty_weight is not None),
        ("--world-model", options.world_model is not None),
        ("--world-model-from", options.world_model_from is not None),
        ("--resume-from", options.resume_from is not None),
    ):
        if given and not offline:
            raise ConfigError(f"{option} is for --method mopo-ppo", fix="Leave it out.")
    if options.train_variant != NOMINAL.name and offline:
        raise ConfigError(
            "--train-variant is for --method online-ppo",
            fix="Record data of that robot with rwmu-data record --variant.",
        )
    for option, given in (
        ("--normaliser", options.normaliser is not None),
        ("--world-model-iterations", options.world_model_iterations is not None),
        ("--world-model-from", options.world_model_from is not None),
    ):
        if given and options.world_model is not None:
            raise ConfigError(
                f"{option} is for a world model that is still to be trained; --world-model "
                f"{options.world_model} is used as it is",
                fix="Leave one of them out.",
            )
    if options.start_from is not None and offline:
        raise ConfigError(
            "--start-from is for --method online-ppo",
            fix="Fine-tune a policy on data with --resume-from.",
        )
    if options.stage == "policy" and offline and options.world_model is None:
        raise ConfigError(
            "--stage policy needs --world-model DIR",
            fix="Name a trained world model, or use --stage all.",
        )
    if options.resume and options.run is None:
        raise ConfigError("--resume needs --run DIR", fix="Name the run that stopped.")
    _refuse_seeds(options)


def _refuse_seeds(options: argparse.Namespace) -> None:
    if not options.seed >= 0:
        raise ConfigError(f"--seed {options.seed}; allowed is 0 up", fix="Choose another seed.")
    if options.seeds is None:
        return
    if not options.seeds >= 1:
        raise ConfigError(f"--seeds {options.seeds}; allowed is 1 up", fix="Say how many.")
    if options.stage == "world-model":
        raise ConfigError(
            "--seeds is for policies, and --stage world-model trains none",
            fix="Leave one of them out.",
        )


def use_device(options: argparse.Namespace) -> None:
    """Check the device, and set the number of threads.

    Raises:
        ConfigError: The device is not here, or not of use.
    """
    if options.device != "cpu":
        if not torch.cuda.is_available():
            raise ConfigError(
                f"--device {options.device} can't be used: there is no CUDA device here",
                fix="Use --device cpu.",
            )
        if options.method != "mopo-ppo":
            raise ConfigError(
                f"--device {options.device} can't be used: {options.method} trains on simulated "
                "robots, which are on the CPU",
                fix="Use --device cpu.",
            )
    if options.threads > 0:
        torch.set_num_threads(options.threads)


def offline_preset(
    options: argparse.Namespace, start: WorldModelStart | None = None
) -> OfflinePreset:
    """The preset with what the options put in its place; a world model keeps its sizes.

    Raises:
        ConfigError: There is no such preset or setting.
    """
    by_default = "quick" if options.resume_from is None else "fine_tune"
    spec = load_robot_spec(find_task(options.task).robot)
    named = find_preset(options.preset or by_default, spec)
    if start is not None:
        named = replace(named, world_model=start.sizes_into(named.world_model))
    preset = with_budget(
        named,
        world_model_iterations=options.world_model_iterations,
        policy_iterations=options.policy_iterations,
        robots=options.robots,
        uncertainty_weight=options.uncertainty_weight,
        normaliser=options.normaliser,
    )
    return with_overrides(preset, options.overrides)
