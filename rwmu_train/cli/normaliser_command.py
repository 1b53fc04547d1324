"""`rwmu-data normaliser`: mean and spread of the state, by axis and joint, for others to use."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from rwmu_deploy.cli.command_line import EXIT_OK
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.cli.data_arguments import add_places
from rwmu_train.cli.output_file import write_json, write_output
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.normaliser import fit_normaliser, labelled_numbers


def add_normaliser_command(commands: Any) -> None:
    """Add the subcommand to `rwmu-data`."""
    parser = commands.add_parser(
        "normaliser",
        help="fit the normaliser of states, and write it by axis and joint name",
        description="Beside a robot.yaml, named fitted_normaliser.yaml, the file is what "
        "rwmu-train --normaliser shipped uses.",
    )
    add_places(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="YAML")
    parser.set_defaults(command=_normaliser)


def _normaliser(options: argparse.Namespace) -> int:
    spec = load_robot_spec(options.robot)
    dataset = load_dataset(options.dir, spec)
    numbers = labelled_numbers(fit_normaliser(dataset), spec)
    heading = (
        f"# State normaliser of {spec.name}, fitted to {dataset.row_count} rows "
        "(rwmu-data normaliser).\n"
    )
    text = heading + yaml.safe_dump(numbers, sort_keys=False, default_flow_style=None, width=99)
    write_output("--out", options.out, text.encode())
    Console(markup=False, soft_wrap=True).print(
        f"{options.out}: normaliser of {dataset.row_count:,} rows"
    )
    write_json(options.json, {"rows": dataset.row_count, **numbers})
    return EXIT_OK
