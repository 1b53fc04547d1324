"""`rwmu-data recover`: `rwmu-recover`, with a table."""

from __future__ import annotations

import argparse
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from rwmu_deploy.cli.recover import (
    COLUMNS,
    add_arguments,
    exit_code,
    recover_as_told,
    table_row,
    words,
)


def add_recover_command(commands: Any) -> None:
    """Add the subcommand to `rwmu-data`."""
    parser = commands.add_parser(
        "recover", help="publish what a crashed log still has, and say what is lost"
    )
    add_arguments(parser)
    parser.set_defaults(command=_recover)


def _recover(options: argparse.Namespace) -> int:
    found = recover_as_told(options)
    console = Console(soft_wrap=True)
    if found:
        table = Table(title=f"journals in {options.dir}", box=SIMPLE_HEAD)
        for index, name in enumerate(COLUMNS):
            is_number = 2 <= index <= 4
            table.add_column(name, justify="right" if is_number else "left", no_wrap=True)
        for one in found:
            table.add_row(*table_row(one))
        console.print(table)
    for line in words(found):
        console.print(line, markup=False)
    return exit_code(found)
