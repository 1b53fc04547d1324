"""`rwmu-data record`: let policies walk in the simulated robot and write what happens."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from rwmu_deploy.cli.command_line import EXIT_OK
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_train.policy.policy_checkpoint import FACTS_NAME, load_policy
from rwmu_train.reference.named_sets import NAMED_SETS, default_pose, find_named_set
from rwmu_train.reference.recording import (
    Policy,
    RecordingSettings,
    record,
    write_recording,
)
from rwmu_train.task.velocity_task import find_task


def add_record_command(commands: Any) -> None:
    """Add the subcommand to `rwmu-data`."""
    default = RecordingSettings()
    parser = commands.add_parser("record", help="record policies in the simulated robot")
    add = parser.add_argument
    add("--policies", type=Path, nargs="+", help="run folders; stages count too")
    add("--set", dest="named_set", help=f"which of them, by name: {', '.join(NAMED_SETS)}")
    add("--out", type=Path, required=True, help="folder for the data")
    add("--task", default="anymal_d_flat")
    add("--rows", type=int, default=default.rows)
    add("--robots", type=int, default=default.robots)
    add("--noise", type=float, nargs="+", metavar="STD", help="instead of the set's")
    add("--rows-per-file", type=int, default=default.rows_per_file)
    add("--seed", type=int, default=default.seed)
    parser.set_defaults(command=_record)


def find_policies(folders: list[Path]) -> list[Path]:
    """Folders that hold a policy: each given one, and its `stages/`.

    Raises:
        ConfigError: A folder has none.
    """
    found: list[Path] = []
    for folder in folders:
        stages = sorted(path.parent for path in folder.glob(f"stages/*/{FACTS_NAME}"))
        own = [folder] if (folder / FACTS_NAME).is_file() else []
        if not stages and not own:
            raise ConfigError(
                f"{folder} holds no policy ({FACTS_NAME}) and no stages",
                fix="Give a run folder of rwmu-train.",
            )
        found += stages + own
    return found


def _who_walks(
    options: argparse.Namespace, spec: RobotSpec
) -> tuple[list[str], list[Policy], tuple[float, ...]]:
    """Names of the policies, the policies, and their action noise."""
    chosen = None if options.named_set is None else find_named_set(options.named_set)
    noise = chosen.action_noise if chosen else RecordingSettings().action_noise
    noise = tuple(options.noise) if options.noise else noise
    if chosen and not chosen.needs_policies:
        return ["default_pose"], [default_pose(spec)], noise
    if not options.policies:
        raise ConfigError(
            "--policies is missing; only --set random needs none",
            fix="Give a run folder of rwmu-train --method online-ppo.",
        )
    folders = find_policies(options.policies)
    if chosen:
        folders = chosen.choose(folders)
    return [f.name for f in folders], [load_policy(f)[0] for f in folders], noise


def _record(options: argparse.Namespace) -> int:
    task = find_task(options.task)
    spec = load_robot_spec(task.robot)
    names, policies, noise = _who_walks(options, spec)
    settings = RecordingSettings(
        rows=options.rows,
        robots=options.robots,
        action_noise=noise,
        rows_per_file=options.rows_per_file,
        seed=options.seed,
    )
    console = Console()
    console.print(f"{len(policies)} policies, action noise {settings.action_noise}")
    steps = iter(track(range(-(-settings.rows // settings.robots)), "recording", console=console))

    def advance(*_: int) -> None:
        next(steps, None)

    recording = record(policies, spec, task, settings, advance)
    for _ in steps:
        pass
    paths = write_recording(
        recording,
        spec,
        options.out,
        rows_per_file=settings.rows_per_file,
        note=f"policies {', '.join(names)}; action noise {noise}; seed {settings.seed}",
    )
    console.print(
        f"{len(recording.rows):,} rows, {int(recording.ended.sum()):,} episodes, "
        f"{int(recording.fell.sum()):,} falls in {len(paths)} files under {options.out}",
        markup=False,
        soft_wrap=True,
    )
    return EXIT_OK
