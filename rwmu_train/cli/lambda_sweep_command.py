"""`rwmu-eval lambda-sweep`: how much should the penalty for uncertainty count?"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.cli.study_arguments import add_study_arguments, chosen_preset, run_and_show
from rwmu_train.presets import find_preset
from rwmu_train.studies.lambda_sweep import LAMBDAS, lambda_sweep
from rwmu_train.studies.offline_cell import Judging, OfflineWork
from rwmu_train.task.velocity_task import find_task
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.world_model.checkpoint import WEIGHTS, load_world_model


def add_lambda_sweep_command(commands: Any) -> None:
    """Add the subcommand to `rwmu-eval`."""
    parser = commands.add_parser(
        "lambda-sweep", help="policies of many lambdas, in imagination and in the simulated robot"
    )
    add = parser.add_argument
    add("--data", type=Path, nargs="+", required=True, metavar="DIR", help="where episodes start")
    add("--world-model", type=Path, required=True, metavar="DIR", help="a trained world model")
    add("--lambdas", type=float, nargs="+", default=LAMBDAS, metavar="L", help="(default: 0 to 5)")
    add(
        "--judge",
        choices=("last", "chosen"),
        default="last",
        help="the policy after the last iteration, as in the paper, or the one that the imagined "
        "score chooses along the training (default %(default)s)",
    )
    add_study_arguments(parser, trains_world_model=False)
    parser.set_defaults(command=_sweep)


def _sweep(options: argparse.Namespace) -> int:
    preset = chosen_preset(options)
    if preset.world_model != find_preset(options.preset).world_model:
        raise ConfigError(
            "--set world_model... does nothing here: --world-model is trained already",
            fix="Leave it out.",
        )
    judging = Judging(robots=options.episodes, seconds=options.seconds)
    task = find_task(options.task)
    spec = load_robot_spec(task.robot)
    model, _ = load_world_model(options.world_model, spec)
    weights = (options.world_model / WEIGHTS).read_bytes()
    dataset = load_dataset(options.data, spec)
    work = OfflineWork(
        task=task.name,
        preset=preset,
        data=tuple(place.resolve() for place in options.data),
        data_sha256=dataset.file_sha256,
        judging=judging,
        world_model=options.world_model.resolve(),
        world_model_sha256=hashlib.sha256(weights).hexdigest(),
        judged=options.judge,
    )
    study = lambda_sweep(work, model.architecture.members, options.lambdas, options.seeds)
    return run_and_show(study, options)
