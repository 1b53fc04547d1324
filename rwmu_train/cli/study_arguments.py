"""Options that all studies share, and how a study is run from the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from rwmu_deploy.cli.command_line import EXIT_FAILED, EXIT_OK
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.cli.study_display import StudyDisplay
from rwmu_train.preset_overrides import with_overrides
from rwmu_train.presets import PRESETS, OfflinePreset, find_preset, with_budget
from rwmu_train.studies.job_runner import find_job_runner
from rwmu_train.studies.offline_cell import Judging
from rwmu_train.studies.study import PICTURE, RESULTS, STUDY, Study, run_study, table_of
from rwmu_train.task.velocity_task import DEFAULT_TASK, TASKS, find_task

TABLE_WIDTH = 200
"""Room for a study's table; it takes what it needs, and a narrower terminal wraps its lines."""


def add_study_arguments(parser: argparse.ArgumentParser, trains_world_model: bool) -> None:
    """Add the options that all studies share."""
    default = Judging()
    add = parser.add_argument
    add(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="the study's folder; run again with the same options, it goes on where it was",
    )
    add("--task", default=DEFAULT_TASK, help=f"one of {', '.join(TASKS)}")
    add("--preset", default="default", help=f"one of {', '.join(PRESETS)} (default %(default)s)")
    add("--seeds", type=int, default=1, metavar="N", help="seeds 0 to N - 1 (default %(default)s)")
    if trains_world_model:
        add("--world-model-iterations", type=int, help="instead of the preset's")
        add(
            "--one-world-model",
            action="store_true",
            help="the seeds of a row share the first one's; the spread is then the policies' own",
        )
    add("--policy-iterations", type=int, help="instead of the preset's")
    add(
        "--set",
        dest="overrides",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="settings instead of the preset's, as in rwmu-train",
    )
    add(
        "--episodes",
        type=int,
        default=default.robots,
        help="by which each policy is judged (default %(default)s)",
    )
    add("--seconds", type=float, default=default.seconds, help="of each (default %(default)s)")
    add("--jobs", type=int, metavar="N", help="cells at a time, each in a process of its own")
    add(
        "--ray-address",
        metavar="ADDRESS",
        help="Ray cluster to run on; without, Ray on this machine where it is installed",
    )


def chosen_preset(options: argparse.Namespace) -> OfflinePreset:
    """The preset with what the options replace.

    Raises:
        ConfigError: There is no such preset or setting, or a number is out of its range.
    """
    for name in ("seeds", "policy_iterations", "world_model_iterations"):
        value = getattr(options, name, None)
        if value is not None and not value >= 1:
            raise ConfigError(
                f"--{name.replace('_', '-')} is {value}; allowed is 1 up", fix="Correct it."
            )
    preset = with_budget(
        find_preset(options.preset, load_robot_spec(find_task(options.task).robot)),
        world_model_iterations=getattr(options, "world_model_iterations", None),
        policy_iterations=options.policy_iterations,
    )
    return with_overrides(preset, options.overrides)


def run_and_show(study: Study, options: argparse.Namespace) -> int:
    """Run a study with a progress bar and print its table; the command's exit code."""
    runner = find_job_runner(options.ray_address, options.jobs)
    command = {name: value for name, value in vars(options).items() if not callable(value)}
    console = Console(markup=False, soft_wrap=True)
    with StudyDisplay(console) as display:
        display.say(f"{len(study.cells)} cells, {runner.words}")
        groups = run_study(
            study,
            options.out,
            runner,
            command,
            on_begin=display.begin,
            on_stage=display.stage,
            on_cell=display.end,
        )
    Console(markup=False, width=TABLE_WIDTH).print(table_of(study, groups).to_rich())
    for note in study.notes:
        console.print(note)
    for name in (STUDY, RESULTS, PICTURE):
        if (options.out / name).exists():
            console.print(f"Written: {options.out / name}")
    return EXIT_OK if all(group.count == group.cells for group in groups) else EXIT_FAILED
