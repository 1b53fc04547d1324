"""`rwmu-world-model`: look at world models, and exchange them with the public code.

Exit code 0: done. 2: can't be read or written, or can't be represented.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from rwmu_deploy.cli.command_line import EXIT_OK, CommandParser, run_subcommand
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import default_robot, load_robot_spec
from rwmu_train.cli.output_file import write_json, write_output
from rwmu_train.cli.world_model_page import facts_document, print_facts
from rwmu_train.transitions.new_folder import new_folder, require_free
from rwmu_train.world_model.checkpoint import load_world_model, save_world_model
from rwmu_train.world_model.released_checkpoint import export_released, import_released


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_subcommand(_parser, arguments)


def _parser() -> CommandParser:
    parser = CommandParser(prog="rwmu-world-model", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_import(commands)
    _add_export(commands)
    _add_inspect(commands)
    return parser


def _add_import(commands: Any) -> None:
    parser = commands.add_parser("import", help="make ours of a checkpoint of the public code")
    add = parser.add_argument
    add("file", type=Path, help=".pt file")
    add("--robot", default=default_robot(), help="name or robot.yaml (default %(default)s)")
    add("--out", type=Path, required=True, metavar="DIR", help="new or empty folder")
    _add_json(parser, command=_import)


def _add_export(commands: Any) -> None:
    parser = commands.add_parser("export", help="write a checkpoint that the public code loads")
    add = parser.add_argument
    add("dir", type=Path, help="folder of a world model")
    add("--out", type=Path, required=True, metavar="FILE", help="new .pt file")
    add(
        "--without-log-std",
        action="store_true",
        help="leave out a standard deviation that the public code can't represent",
    )
    _add_json(parser, command=_export)


def _add_inspect(commands: Any) -> None:
    parser = commands.add_parser("inspect", help="show architecture, data and held-out figures")
    parser.add_argument("dir", type=Path, help="folder of a world model")
    _add_json(parser, command=_inspect)


def _add_json(
    parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], int]
) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to FILE too")
    parser.set_defaults(command=command)


def _import(options: argparse.Namespace) -> int:
    require_free(options.out)
    model, facts = import_released(options.file, load_robot_spec(options.robot))
    with new_folder(options.out) as folder:
        save_world_model(folder, model, facts)
    console = Console(markup=False, soft_wrap=True)
    print_facts(console, options.out, model, facts)
    console.print(
        f"note: the file says nothing about robot, joint order, time step and normaliser; taken "
        f"are {facts.spec.name}'s and the public code's",
        style="yellow",
    )
    write_json(options.json, facts_document(options.out, model, facts))
    return EXIT_OK


def _export(options: argparse.Namespace) -> int:
    if os.path.lexists(options.out):
        raise ConfigError(f"--out {options.out} is there already", fix="Name a new file.")
    model, facts = load_world_model(options.dir)
    exported = export_released(model, facts, without_log_std=options.without_log_std)
    write_output("--out", options.out, exported.content)
    console = Console(markup=False, soft_wrap=True)
    console.print(f"{options.out}: load it in the public code with the settings")
    for name, value in exported.configuration.items():
        console.print(f"  {name}: {value}")
    write_json(options.json, exported.configuration)
    return EXIT_OK


def _inspect(options: argparse.Namespace) -> int:
    model, facts = load_world_model(options.dir)
    print_facts(Console(markup=False, soft_wrap=True), options.dir, model, facts)
    write_json(options.json, facts_document(options.dir, model, facts))
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
