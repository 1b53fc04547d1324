"""`rwmu-eval`: how good is what was learned?

Exit code 0: judged. 1: `compare` found the new policy worse. 2: bad input.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rwmu_deploy.cli.command_line import CommandParser, run_subcommand
from rwmu_train.cli.compare_command import add_compare_command
from rwmu_train.cli.data_quality_command import add_data_quality_command
from rwmu_train.cli.eval_monitor_command import add_monitor_command
from rwmu_train.cli.eval_policy_command import add_policy_command
from rwmu_train.cli.eval_world_model_command import add_world_model_command
from rwmu_train.cli.lambda_sweep_command import add_lambda_sweep_command
from rwmu_train.cli.sim_and_field_command import add_sim_and_field_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_subcommand(_parser, arguments)


def _parser() -> CommandParser:
    parser = CommandParser(prog="rwmu-eval", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_world_model_command(commands)
    add_policy_command(commands)
    add_compare_command(commands)
    add_monitor_command(commands)
    add_lambda_sweep_command(commands)
    add_sim_and_field_command(commands)
    add_data_quality_command(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
