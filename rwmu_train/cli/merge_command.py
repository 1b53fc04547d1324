"""`rwmu-data merge`: one folder of several, every byte as it was."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from rwmu_deploy.cli.command_line import EXIT_OK
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.cli.data_arguments import add_places
from rwmu_train.cli.output_file import write_json
from rwmu_train.transitions.merge import Merge, merge


def add_merge_command(commands: Any) -> None:
    """Add the subcommand to `rwmu-data`."""
    parser = commands.add_parser(
        "merge", help="verify several folders and copy them into one, numbered on"
    )
    add_places(parser)
    parser.add_argument("--out", type=Path, required=True, help="new or empty folder")
    parser.add_argument("--append", action="store_true", help="go on after the files of --out")
    parser.add_argument(
        "--skip-duplicates", action="store_true", help="copy a CSV once that is there twice"
    )
    parser.set_defaults(command=_merge)


def _merge(options: argparse.Namespace) -> int:
    result = merge(
        options.dir,
        load_robot_spec(options.robot),
        options.out,
        append=options.append,
        skip_duplicates=options.skip_duplicates,
    )
    console = Console(markup=False, soft_wrap=True)
    for file, csv in result.files:
        console.print(f"{file.path} -> {csv.name}, {file.rows:,} rows")
        for note in file.notes:
            console.print(f"note: {note}", style="yellow")
    for duplicate in result.duplicates:
        console.print(f"skipped {duplicate.path}: same as {duplicate.same_as}")
    rows = sum(file.rows for file, _ in result.files)
    console.print(f"{len(result.files)} files, {rows:,} rows copied to {options.out}")
    write_json(options.json, _document(result))
    return EXIT_OK


def _document(result: Merge) -> dict[str, Any]:
    return {
        "files": [
            {
                "from": str(file.path),
                "to": str(csv),
                "sha256": file.sha256,
                "rows": file.rows,
                "has_sidecar": file.has_sidecar,
                "notes": list(file.notes),
            }
            for file, csv in result.files
        ],
        "duplicates": [
            {"path": str(duplicate.path), "same_as": str(duplicate.same_as)}
            for duplicate in result.duplicates
        ],
    }
