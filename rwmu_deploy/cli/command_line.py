"""What all commands share: bad input is one line on stderr and exit code 2, never a traceback."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from rwmu_deploy.contract.errors import ConfigError, RwmuError

EXIT_OK = 0
EXIT_FAILED = 1
"""The command did its work, and the outcome is bad: the robot fell, a check failed."""
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


class CommandParser(argparse.ArgumentParser):
    """An argument parser that raises instead of printing usage and leaving."""

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(message, fix=f"See {self.prog} --help.")


def run_subcommand(parser: Callable[[], CommandParser], words: Sequence[str] | None) -> int:
    """Parse words, run the subcommand that they name, and return its exit code.

    Args:
        parser: Makes a parser whose subcommands set the default `command`, a function of the
            parsed options that returns an exit code.
        words: The command line; that of the process when None.
    """

    def run() -> int:
        options = parser().parse_args(words)
        return options.command(options)

    return run_command(run)


def run_command(function: Callable[[], int | None]) -> int:
    """Run a command's body and return its exit code.

    Args:
        function: The body, parsing of arguments included. It returns an exit code, or None for 0.
    """
    try:
        return function() or EXIT_OK
    except RwmuError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
