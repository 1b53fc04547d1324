"""`rwmu-eval`: how good is what was learned?

Exit code 0: judged. 2: bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from rwmu_deploy.cli.command_line import CommandParser, run_command
from rwmu_train.cli.eval_world_model_command import add_world_model_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_command(lambda: _main(arguments))


def _main(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    return command(options)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="rwmu-eval", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_world_model_command(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
