"""`rwmu-data split`: a training and a validation folder that share no episode."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from rich.console import Console

from rwmu_deploy.cli.command_line import EXIT_OK
from rwmu_deploy.collection.transition_segment import Source
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.cli.data_arguments import add_places
from rwmu_train.cli.output_file import write_json
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.new_folder import require_free
from rwmu_train.transitions.split_files import write_split


def add_split_command(commands: Any) -> None:
    """Add the subcommand to `rwmu-data`."""
    parser = commands.add_parser(
        "split", help="write training and validation folders of whole episodes"
    )
    add_places(parser)
    parser.add_argument(
        "--validation", type=float, default=0.2, metavar="SHARE", help="default %(default)s"
    )
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument("--out", type=Path, required=True, help="new or empty folder")
    parser.add_argument(
        "--source", choices=get_args(Source), help="what a CSV without a sidecar is"
    )
    parser.set_defaults(command=_split)


def _split(options: argparse.Namespace) -> int:
    require_free(options.out)
    parts = write_split(
        load_dataset(options.dir, load_robot_spec(options.robot)),
        options.out,
        validation_share=options.validation,
        seed=options.seed,
        source_without_sidecar=options.source,
    )
    console = Console(markup=False, soft_wrap=True)
    rows = sum(part.rows for part in parts)
    for part in parts:
        console.print(
            f"{part.folder}: {part.rows:,} rows ({part.rows / rows:.1%}), {part.episodes:,} "
            f"episodes, {part.falls:,} falls in {part.files} files"
        )
    names = ("train", "validation")
    documents = ({**asdict(part), "folder": str(part.folder)} for part in parts)
    write_json(options.json, dict(zip(names, documents, strict=True)))
    return EXIT_OK
