"""`rwmu-data`: look at transition data before anything is trained on them.

Exit code 0: usable, or done. 1: read, but not usable. 2: can't be read or written. 3: recovered,
but something was lost.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from rwmu_deploy.cli.command_line import EXIT_FAILED, EXIT_OK, CommandParser, run_subcommand
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.cli.data_arguments import add_places
from rwmu_train.cli.import_bag_command import add_import_bag_command
from rwmu_train.cli.merge_command import add_merge_command
from rwmu_train.cli.normaliser_command import add_normaliser_command
from rwmu_train.cli.output_file import write_json
from rwmu_train.cli.plot_command import add_plot_command
from rwmu_train.cli.record_command import add_record_command
from rwmu_train.cli.recover_command import add_recover_command
from rwmu_train.cli.session_command import add_session_command
from rwmu_train.cli.split_command import add_split_command
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.verdict import WINDOW_ROWS, check_dataset
from rwmu_train.transitions.verdict_table import channel_rows, channel_table, print_verdict


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_subcommand(_parser, arguments)


def _parser() -> CommandParser:
    parser = CommandParser(prog="rwmu-data", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_check(commands)
    _add_stats(commands)
    add_normaliser_command(commands)
    add_record_command(commands)
    add_import_bag_command(commands)
    add_recover_command(commands)
    add_merge_command(commands)
    add_split_command(commands)
    add_plot_command(commands)
    add_session_command(commands)
    return parser


def _add_check(commands: Any) -> None:
    parser = commands.add_parser("check", help="say whether data can be trained on")
    add_places(parser)
    parser.add_argument(
        "--window", type=int, default=WINDOW_ROWS, help="rows of a window (default %(default)s)"
    )
    parser.add_argument(
        "--actuation-delay",
        type=float,
        default=0.0,
        metavar="S",
        help="time by which the drives act late, where sidecars don't say (default %(default)s)",
    )
    parser.set_defaults(command=_check)


def _add_stats(commands: Any) -> None:
    parser = commands.add_parser("stats", help="show mean, spread and quantiles of every column")
    add_places(parser)
    parser.set_defaults(command=_stats)


def _check(options: argparse.Namespace) -> int:
    spec = load_robot_spec(options.robot)
    if not 0.0 <= options.actuation_delay < 1.0:
        raise ConfigError(
            f"--actuation-delay is {options.actuation_delay}; allowed is 0 to 1 s",
            fix="Give it in seconds, such as 0.02.",
        )
    verdict = check_dataset(
        options.dir,
        spec,
        window_rows=options.window,
        actuation_delay_s=options.actuation_delay,
    )
    print_verdict(Console(), verdict)
    write_json(options.json, verdict.to_dict())
    return EXIT_OK if verdict.ok else EXIT_FAILED


def _stats(options: argparse.Namespace) -> int:
    dataset = load_dataset(options.dir, load_robot_spec(options.robot))
    Console().print(channel_table(dataset))
    write_json(options.json, {"rows": dataset.row_count, "columns": channel_rows(dataset)})
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
