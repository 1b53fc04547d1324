"""`rwmu-eval world-model`: errors, uncertainty, calibration on episodes it has not seen."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from rwmu_deploy.cli.command_line import EXIT_OK
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import default_robot, load_robot_spec
from rwmu_train.cli.output_file import write_json, write_output
from rwmu_train.evaluation.world_model.calibration_file import (
    require_no_calibration,
    save_calibration,
)
from rwmu_train.evaluation.world_model.judgement import Judgement, JudgementSettings
from rwmu_train.evaluation.world_model.judgement_table import print_judgement
from rwmu_train.evaluation.world_model.judging import judge_world_model
from rwmu_train.evaluation.world_model.off_data import IN_DATA
from rwmu_train.pictures.world_model_picture import world_model_png
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.world_model.checkpoint import load_world_model

REPORT, PICTURE = "world_model.json", "world_model.png"
_DEFAULT = JudgementSettings()


def add_world_model_command(commands: Any) -> None:
    """Add the subcommand to `rwmu-eval`."""
    parser = commands.add_parser("world-model", help="judge a world model on unseen episodes")
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL_DIR", help="folder of a trained world model")
    add("--data", type=Path, nargs="+", required=True, metavar="DIR", help="data to judge it on")
    add("--out", type=Path, metavar="DIR", help=f"leave {REPORT} and {PICTURE} there")
    add(
        "--off-data",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=DIR",
        help="data of another kind: is the model uncertain where it is wrong?",
    )
    add("--calibrate", action="store_true", help="save calibration.json beside the model")
    add("--horizon", type=int, default=_DEFAULT.horizon, help="steps (default %(default)s)")
    add("--windows", type=int, default=_DEFAULT.windows, help="(default %(default)s)")
    add("--seed", type=int, default=_DEFAULT.seed, help="of windows and noise")
    add(
        "--split",
        choices=("held-out", "all"),
        default=_DEFAULT.split,
        help="episodes that training held out (default), or all",
    )
    add("--robot", default=default_robot(), help="name or robot.yaml (default %(default)s)")
    parser.set_defaults(command=_judge)


def _judge(options: argparse.Namespace) -> int:
    settings = JudgementSettings(
        options.horizon, options.windows, options.seed, split=options.split
    )
    spec = load_robot_spec(options.robot)
    places = _named_places(options.off_data)
    model, facts = load_world_model(options.model, spec)
    if options.calibrate:
        require_no_calibration(options.model)
    dataset = load_dataset(options.data, spec)
    off_data = {name: load_dataset(place, spec) for name, place in places.items()}
    judgement = judge_world_model(model, facts, dataset, settings, off_data)
    console = Console()
    print_judgement(console, judgement)
    if options.out is not None:
        _write(options, judgement)
        console.print(f"Report: {options.out}", markup=False, soft_wrap=True)
    if options.calibrate:
        path = save_calibration(options.model, judgement.calibrations, dataset.file_sha256)
        console.print(f"Calibration: {path}", markup=False, soft_wrap=True)
    return EXIT_OK


def _named_places(words: Sequence[str]) -> dict[str, Path]:
    places: dict[str, Path] = {}
    for word in words:
        name, equals, place = word.partition("=")
        if not (name and equals and place) or name in places or name == IN_DATA:
            raise ConfigError(
                f"--off-data {word}; allowed is NAME=DIR, every name once and none '{IN_DATA}'",
                fix="Write, for example, --off-data field=data/field.",
            )
        places[name] = Path(place)
    return places


def _write(options: argparse.Namespace, judgement: Judgement) -> None:
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"--out {options.out} can't be made: {error.strerror}", fix="Name another folder."
        ) from error
    asked = {"model": str(options.model), "data": list(map(str, options.data))}
    write_json(options.out / REPORT, asked | judgement.to_dict())
    picture = world_model_png(judgement, f"World model {options.model}")
    write_output("--out", options.out / PICTURE, picture)
