"""`rwmu-data record`: let simulated robots act and write what happens."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from rwmu_deploy.cli.command_line import EXIT_OK
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.simulation.robot_variant import NOMINAL, VARIANTS, find_variant
from rwmu_train.policy.policy_checkpoint import load_policy
from rwmu_train.reference.behaviours import BEHAVIOURS, Behaviour, find_behaviour, follow
from rwmu_train.reference.bundle_policy import load_bundle_policy
from rwmu_train.reference.collector import Collector, collector_of
from rwmu_train.reference.named_sets import NAMED_SETS, find_named_set
from rwmu_train.reference.policy_folders import find_policies, policies_of_set
from rwmu_train.reference.recorded_segments import recording_origins, write_recording
from rwmu_train.reference.recording import RecordingSettings, record
from rwmu_train.task.velocity_task import DEFAULT_TASK, TASKS, find_task


def add_record_command(commands: Any) -> None:
    """Add the subcommand to `rwmu-data`."""
    default = RecordingSettings()
    parser = commands.add_parser("record", help="record simulated robots")
    add = parser.add_argument
    add("--policies", type=Path, nargs="+", help="run folders; stages count too")
    add("--bundle", type=Path, nargs="+", help="bundles of rwmu-export, beside them or alone")
    add(
        "--set",
        dest="named_set",
        help=f"which stages of each run, by name: {', '.join(NAMED_SETS)}",
    )
    add("--behaviour", help=f"a script instead, by name: {', '.join(BEHAVIOURS)}")
    add(
        "--variant",
        default=NOMINAL.name,
        help=f"simulated robot, one of {', '.join(VARIANTS)} (default %(default)s)",
    )
    add("--out", type=Path, required=True, help="folder for the data")
    add("--task", default=DEFAULT_TASK, help=f"one of {', '.join(TASKS)}")
    add("--rows", type=int, default=default.rows)
    add("--robots", type=int, default=default.robots)
    add("--noise", type=float, nargs="+", metavar="STD", help="instead of the set's")
    add(
        "--rows-per-file",
        type=int,
        default=default.rows_per_file,
        help="so many rows wait, then those of one behaviour make a file (default %(default)s)",
    )
    add("--seed", type=int, default=default.seed)
    parser.set_defaults(command=_record)


def _who_acts(
    options: argparse.Namespace, spec: RobotSpec
) -> tuple[list[Collector], list[Behaviour], tuple[float, ...]]:
    """Who acts, the behaviours, and their action noise."""
    chosen = None if options.named_set is None else find_named_set(options.named_set)
    given = options.policies or options.bundle
    name = options.behaviour
    if chosen and not chosen.needs_policies:
        name = name or options.named_set
    if name is not None:
        script = find_behaviour(name)
        if given or options.named_set not in (None, name):
            raise ConfigError(
                f"--behaviour {name} stands beside --policies, --bundle or another --set; allowed "
                "is one of them",
                fix="Record them one after the other, into one folder if you like.",
            )
        return (
            [Collector(name)],
            [script.make(spec, options.robots, options.seed)],
            script.action_noise,
        )
    if not given:
        raise ConfigError(
            "--policies, --bundle or --behaviour is missing; only --set random needs none",
            fix="Give a run folder of rwmu-train --method online-ppo.",
        )
    runs = options.policies or []
    runs = policies_of_set(chosen, runs) if chosen else find_policies(runs)
    bundles = options.bundle or []
    behaviours = [follow(load_policy(folder)[0]) for folder in runs]
    behaviours += [follow(load_bundle_policy(folder, spec)) for folder in bundles]
    noise = chosen.action_noise if chosen else RecordingSettings().action_noise
    return [collector_of(folder) for folder in (*runs, *bundles)], behaviours, noise


def _record(options: argparse.Namespace) -> int:
    task = find_task(options.task)
    spec = load_robot_spec(task.robot)
    variant = find_variant(options.variant)
    who, behaviours, noise = _who_acts(options, spec)
    settings = RecordingSettings(
        rows=options.rows,
        robots=options.robots,
        action_noise=tuple(options.noise) if options.noise else noise,
        rows_per_file=options.rows_per_file,
        seed=options.seed,
        variant=variant,
    )
    console = Console()
    console.print(
        f"{len(behaviours)} behaviours, action noise {settings.action_noise}, {variant.name} robot"
    )
    steps = iter(track(range(settings.steps), "recording", console=console))

    def advance(*_: int) -> None:
        next(steps, None)

    summary = write_recording(
        record(behaviours, spec, task, settings, advance),
        spec,
        options.out,
        recording_origins(who, settings),
        rows_per_file=settings.rows_per_file,
    )
    for _ in steps:
        pass
    console.print(
        f"{summary.rows:,} rows, {summary.episodes:,} episodes, "
        f"{summary.falls:,} falls in {len(summary.paths)} files under {options.out}",
        markup=False,
        soft_wrap=True,
    )
    return EXIT_OK
