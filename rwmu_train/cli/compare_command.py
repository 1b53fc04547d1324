"""`rwmu-eval compare OLD NEW`: is the new policy better, on the robot that it is for?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from rwmu_deploy.cli.command_line import EXIT_FAILED, EXIT_OK
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.simulation.robot_variant import VARIANTS, find_variant
from rwmu_train.cli.eval_policy_command import load_any_policy, simulate_policies
from rwmu_train.cli.output_file import write_json
from rwmu_train.evaluation.policy.policy_comparison import (
    PolicyComparison,
    compare_policies,
    falls_in_words,
    overall,
)
from rwmu_train.evaluation.policy.simulated_episodes import EpisodeSettings
from rwmu_train.task.velocity_task import DEFAULT_TASK, TASKS, find_task

_DEFAULT = EpisodeSettings()


def add_compare_command(commands: Any) -> None:
    """Add the subcommand to `rwmu-eval`."""
    parser = commands.add_parser(
        "compare", help="say whether new policies are better than an old one"
    )
    add = parser.add_argument
    add("old", type=Path, metavar="OLD", help="run folder or bundle")
    add("new", type=Path, nargs="+", metavar="NEW", help="run folders or bundles, such as seeds")
    add(
        "--variant",
        default="field",
        help=f"simulated robot, one of {', '.join(VARIANTS)} (default %(default)s)",
    )
    add("--task", default=DEFAULT_TASK, help=f"one of {', '.join(TASKS)}")
    add("--robots", type=int, default=_DEFAULT.robots, help="episodes (default %(default)s)")
    add("--seconds", type=float, default=_DEFAULT.seconds, help="of each (default %(default)s)")
    add("--seed", type=int, default=_DEFAULT.seed, help="of robots, starts and commands")
    add("--json", type=Path, help="write the figures to this file too")
    parser.set_defaults(command=_compare)


def _compare(options: argparse.Namespace) -> int:
    task = find_task(options.task)
    spec = load_robot_spec(task.robot)
    settings = EpisodeSettings(options.robots, options.seconds, options.seed, 0.0, False)
    variant = find_variant(options.variant)
    places = dict.fromkeys([options.old, *options.new])
    policies = {str(place): load_any_policy(place, spec) for place in places}
    console = Console()
    episodes = simulate_policies(policies, [variant], spec, task, settings, console)
    old = episodes[str(options.old), variant.name]
    found = [
        compare_policies(str(place), episodes[str(place), variant.name], old)
        for place in dict.fromkeys(options.new)
    ]
    _print(console, found, settings.robots, f"{variant.name} robot, beside {options.old}")
    write_json(
        options.json,
        {
            "old": str(options.old),
            "variant": variant.name,
            "robots": settings.robots,
            "seconds": settings.seconds,
            "seed": settings.seed,
            "old_return": float(old.episode_return.mean()),
            "new": [each.to_dict() for each in found],
            **overall(found),
        },
    )
    return EXIT_FAILED if any(each.verdict == "worse" for each in found) else EXIT_OK


def _print(console: Console, found: list[PolicyComparison], episodes: int, title: str) -> None:
    table = Table(title=title, box=SIMPLE_HEAD)
    for name in ("policy", "return over the old", "falls", "old falls", "verdict"):
        table.add_column(name, justify="left" if name in ("policy", "verdict") else "right")
    for each in found:
        low, high = each.ratio_interval
        table.add_row(
            each.name,
            f"{each.return_ratio:.3f} ({low:.3f} to {high:.3f})",
            falls_in_words(each.falls, episodes),
            falls_in_words(each.old_falls, episodes),
            each.verdict,
        )
    console.print(table)
