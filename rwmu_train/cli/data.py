"""`rwmu-data`: look at transition data before anything is trained on them.

Exit code 0: usable. 1: read, but not usable. 2: can't be read.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from rwmu_deploy.cli.command_line import EXIT_FAILED, EXIT_OK, CommandParser, run_command
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.cli.import_bag_command import add_import_bag_command
from rwmu_train.cli.record_command import add_record_command
from rwmu_train.transitions.dataset import load_dataset
from rwmu_train.transitions.verdict import WINDOW_ROWS, check_dataset
from rwmu_train.transitions.verdict_table import channel_rows, channel_table, print_verdict


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_command(lambda: _main(arguments))


def _main(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    return command(options)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="rwmu-data", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_check(commands)
    _add_stats(commands)
    add_record_command(commands)
    add_import_bag_command(commands)
    return parser


def _add_check(commands: Any) -> None:
    parser = commands.add_parser("check", help="say whether data can be trained on")
    _add_places(parser)
    parser.add_argument(
        "--window", type=int, default=WINDOW_ROWS, help="rows of a window (default %(default)s)"
    )
    parser.set_defaults(command=_check)


def _add_stats(commands: Any) -> None:
    parser = commands.add_parser("stats", help="show mean, spread and range of every column")
    _add_places(parser)
    parser.set_defaults(command=_stats)


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", type=Path, nargs="+", help="folder of transitions, or one CSV")
    parser.add_argument(
        "--robot", default="anymal_d", help="name or robot.yaml (default %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to FILE too")


def _check(options: argparse.Namespace) -> int:
    spec = load_robot_spec(options.robot)
    verdict = check_dataset(options.dir, spec, window_rows=options.window)
    print_verdict(Console(), verdict)
    if options.json is not None:
        _write_json(options.json, verdict.to_dict())
    return EXIT_OK if verdict.ok else EXIT_FAILED


def _stats(options: argparse.Namespace) -> int:
    dataset = load_dataset(options.dir, load_robot_spec(options.robot))
    Console().print(channel_table(dataset))
    if options.json is not None:
        _write_json(options.json, {"rows": dataset.row_count, "columns": channel_rows(dataset)})
    return EXIT_OK


def _write_json(path: Path, document: dict[str, Any]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=1, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise ConfigError(
            f"--json {path} can't be written: {error}",
            fix="Name a file in a folder you may write.",
        ) from error


if __name__ == "__main__":
    sys.exit(main())
