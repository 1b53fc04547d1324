"""`rwmu-eval data-quality`: what must data hold, and does the penalty help?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.cli.study_arguments import add_study_arguments, chosen_preset, run_and_show
from rwmu_train.cli.study_recording import record_sets
from rwmu_train.reference.named_sets import NAMED_SETS
from rwmu_train.studies.data_quality import SETS, data_quality, refuse_doubles, refuse_no_penalty
from rwmu_train.studies.offline_cell import Judging, OfflineWork
from rwmu_train.studies.recorded_sets import SetToRecord
from rwmu_train.task.velocity_task import find_task


def add_data_quality_command(commands: Any) -> None:
    """Add the subcommand to `rwmu-eval`."""
    parser = commands.add_parser(
        "data-quality", help="MOPO-PPO and MBPO-PPO from random, medium, expert and mixed data"
    )
    add = parser.add_argument
    add(
        "--policies",
        type=Path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="runs of online PPO, whose stages record; only the set random needs none",
    )
    add(
        "--sets",
        nargs="+",
        default=list(SETS),
        metavar="NAME",
        help=f"of {', '.join(NAMED_SETS)} (default {' '.join(SETS)})",
    )
    add("--rows", type=int, default=1_000_000, help="of each set (default %(default)s)")
    add_study_arguments(parser, trains_world_model=True)
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    preset = chosen_preset(options)
    refuse_no_penalty(preset)
    refuse_doubles(options.sets)
    judging = Judging(robots=options.episodes, seconds=options.seconds)
    task = find_task(options.task)
    spec = load_robot_spec(task.robot)
    runs = tuple(options.policies)
    wanted = {name: SetToRecord(name, options.rows, 0, runs) for name in options.sets}
    for one in wanted.values():
        one.refuse_short_episodes(2 * preset.world_model.sequence_rows)
    found, data = record_sets(wanted, options.out, spec, task)
    work = OfflineWork(task.name, preset, (), (), judging)
    study = data_quality(work, found, options.seeds, options.one_world_model, {"data": data})
    return run_and_show(study, options)
