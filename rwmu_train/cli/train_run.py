"""What every run of `rwmu-train` leaves in its folder, and says at its end."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.cli.train_seeds import print_seeds
from rwmu_train.evaluation.simulated_score import SimulatedScore
from rwmu_train.policy.policy_checkpoint import installed_versions
from rwmu_train.run_folder import CONFIG, SUMMARY, create_run_folder, write_json
from rwmu_train.task.velocity_task import VelocityTask


def run_place(options: argparse.Namespace) -> Path:
    """Where the run goes: where --run says, or a name of now."""
    name = f"{options.task}-{options.method}-{time.strftime('%Y%m%d-%H%M%S')}"
    return options.run or Path("runs") / name


def open_run(
    place: Path, options: argparse.Namespace, settings: Any, task: VelocityTask, spec: RobotSpec
) -> Path:
    """Begin a run with its config.json, or go on with the one that is there.

    Raises:
        ConfigError: There is one and --resume is not given, or it is of another command.
    """
    run = create_run_folder(place, resume=options.resume)
    if (run / CONFIG).exists():
        _refuse_other_command(run, options)
        return run
    document = {
        "command": dict(vars(options)),
        "task": task,
        "settings": settings,
        "robot_sha256": spec.sha256,
        "versions": installed_versions(),
    }
    write_json(run / CONFIG, document)
    return run


def finished_summary(folder: Path, variant: str | None = None) -> dict[str, Any] | None:
    """The summary of a run that was finished; None where something was left to do.

    Args:
        folder: Of the run.
        variant: Simulated robot that its policy must have been scored on; None where no policy is
            needed.
    """
    try:
        summary = dict(json.loads((folder / SUMMARY).read_bytes()))
        scored_on = None if variant is None else summary["simulated"]["variant"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return summary if scored_on == variant else None


def on_begin(folder: Path, title: str, say: Callable[[str], None]) -> Callable[[int], None]:
    """What a stage with something left to do tells: the summary there holds no longer."""

    def begin(done: int) -> None:
        (folder / SUMMARY).unlink(missing_ok=True)
        if done:
            say(f"{title}: goes on after iteration {done}")

    return begin


def score_line(what: str, score: SimulatedScore) -> str:
    """One line about a policy."""
    return (
        f"{what}: in the simulated robot ({score.variant}) linear tracking "
        f"{score.linear_tracking:.3f}, yaw {score.yaw_tracking:.3f}, falls {score.fall_share:.0%}"
    )


def say_end(console: Console, run: Path, summary: dict[str, Any], was_finished: bool) -> None:
    """The last lines: what came out, and where it lies."""
    if was_finished:
        said = f"{run} is finished already; nothing was left to do"
        console.print(said, markup=False, soft_wrap=True)
    if "over_seeds" in summary:
        print_seeds(console, summary)
    if "simulated" in summary:
        console.print(score_line("done", SimulatedScore(**summary["simulated"])), markup=False)
    console.print(f"Run folder: {run}", markup=False, soft_wrap=True)


def _refuse_other_command(run: Path, options: argparse.Namespace) -> None:
    """What settings, data and seed a stage is of, its own checkpoint knows."""
    try:
        before = dict(json.loads((run / CONFIG).read_bytes())["command"])
    except (OSError, ValueError, TypeError, KeyError):
        raise ConfigError(
            f"{run / CONFIG} can't be read", fix="Train again in another folder."
        ) from None
    now = vars(options)
    for name in ("task", "method", "seed"):
        if name in before and before[name] != now[name]:
            raise ConfigError(
                f"{run} was begun with --{name} {before[name]}; now it is {now[name]}",
                fix="Resume with the same, or train in another folder.",
            )
    for name in ("world_model", "seeds"):
        then = before.get(name) is not None
        if then != (now[name] is not None):
            raise ConfigError(
                f"{run} was begun {'with' if then else 'without'} --{name.replace('_', '-')}",
                fix="Resume with the same options, or train in another folder.",
            )
