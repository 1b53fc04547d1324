"""`rwmu-eval monitor`: how well a bundle's monitor sees that its robot has left the data."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from rwmu_deploy.cli.command_line import EXIT_OK
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.simulation.robot_variant import NOMINAL, VARIANTS, find_variant
from rwmu_train.cli.monitor_report import PAGE, PICTURE, REPORT, MonitorReport, write_report
from rwmu_train.cli.policy_report import refuse_place
from rwmu_train.evaluation.monitor.disturbances import (
    DISTURBANCES,
    Disturbance,
    find_disturbance,
)
from rwmu_train.evaluation.monitor.kept_walks import keep_walk, kept_walk
from rwmu_train.evaluation.monitor.monitor_judgement import (
    ONSET_S,
    ORDINARY_S,
    ORDINARY_Z,
    TRAINING_Z,
    MonitorSettings,
    disturbed_seconds,
    judge_monitor,
)
from rwmu_train.evaluation.monitor.monitor_table import print_judgement
from rwmu_train.evaluation.monitor.monitored_walk import (
    Course,
    MonitoredRobot,
    MonitoredWalk,
    OnStep,
    monitored_walk,
    ordinary_distance,
)
from rwmu_train.evaluation.monitor.observation_distance import ObservationDistance

WALKS = "walks"
UNDISTURBED = "undisturbed"
_DEFAULT = MonitorSettings()


def add_monitor_command(commands: Any) -> None:
    """Add the subcommand to `rwmu-eval`."""
    parser = commands.add_parser("monitor", help="disturb robots, and see whether it is seen")
    add = parser.add_argument
    add("bundle", type=Path, metavar="BUNDLE", help="a bundle with a world model and a monitor")
    add(
        "--only",
        nargs="+",
        default=list(DISTURBANCES),
        metavar="NAME",
        help=f"disturbances (default {' '.join(DISTURBANCES)})",
    )
    add(
        "--variant",
        default=NOMINAL.name,
        help=f"simulated robot that is disturbed, one of {', '.join(VARIANTS)} "
        "(default %(default)s)",
    )
    add("--robots", type=int, default=_DEFAULT.robots, help="default %(default)s")
    add(
        "--seconds",
        type=float,
        default=_DEFAULT.seconds,
        help="of each robot's walk in which nothing happens (default %(default)s)",
    )
    add("--seed", type=int, default=_DEFAULT.seed, help="of commands and robots")
    add("--act", action="store_true", help="also let the monitor act, and compare falls")
    add(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"leave {REPORT}, {PAGE} and {PICTURE} there, and the walks: those that are there "
        "already, of equal settings, are not walked again",
    )
    parser.set_defaults(command=_judge)


def _judge(options: argparse.Namespace) -> int:
    disturbances = [find_disturbance(name) for name in dict.fromkeys(options.only)]
    settings = MonitorSettings(
        options.robots, options.seconds, options.seed, find_variant(options.variant).name
    )
    if options.out is not None:
        refuse_place(options.out)
    bundle = PolicyBundle.load(options.bundle)
    robot = monitored_robot(bundle, options.bundle)
    if options.out is not None:
        _make(options.out / WALKS)
    console = Console()
    with Progress(console=console, transient=True) as progress:
        walker = _Walker(robot, settings, bundle.sha256, options.out, progress)
        undisturbed = walker.undisturbed()
        walks = {each.name: walker.disturbed(each, acts=False) for each in disturbances}
        acting = {
            each.name: walker.disturbed(each, acts=True) for each in disturbances if options.act
        }
    judgement = judge_monitor(undisturbed, walks, acting, walker.distance_names)
    print_judgement(console, judgement)
    if options.out is not None:
        report = MonitorReport(str(options.bundle), bundle.sha256, settings, judgement, walks)
        write_report(options.out, report)
        console.print(f"Report: {options.out}", markup=False, soft_wrap=True)
    return EXIT_OK


def monitored_robot(bundle: PolicyBundle, place: Path) -> MonitoredRobot:
    """Policy and monitor of a bundle.

    Raises:
        ConfigError: It has no monitor.
    """
    world_model, calibration = bundle.world_model, bundle.monitor_calibration
    if world_model is None or calibration is None:
        raise ConfigError(
            f"bundle {place} has no monitor",
            fix="Export it with "
            "rwmu-export --onnx --run RUN --world-model DIR --monitor-data DIR.",
        )
    return MonitoredRobot(
        bundle.spec,
        bundle.action,
        bundle.command_range,
        bundle.observation_range,
        world_model,
        calibration,
    )


class _Walker:
    """Walks what is not kept yet."""

    def __init__(
        self,
        robot: MonitoredRobot,
        settings: MonitorSettings,
        bundle_sha256: str,
        out: Path | None,
        progress: Progress,
    ) -> None:
        self._robot, self._settings, self._out, self._progress = robot, settings, out, progress
        self._stamp = {"bundle": bundle_sha256, **asdict(settings)}

    @property
    def distance_names(self) -> list[str]:
        """Of the plain distances."""
        return [*([TRAINING_Z] if self._robot.training_range else []), ORDINARY_Z]

    def undisturbed(self) -> MonitoredWalk:
        """Nothing happens."""
        return self._walk(UNDISTURBED, self._course(self._settings.seconds, stream=0))

    def disturbed(self, disturbance: Disturbance, *, acts: bool) -> MonitoredWalk:
        """One thing happens."""
        course = self._course(disturbed_seconds(), stream=2, disturbance=disturbance, acts=acts)
        return self._walk(f"{disturbance.name}{'_acting' if acts else ''}", course)

    @cached_property
    def _distances(self) -> tuple[ObservationDistance, ...]:
        course = self._course(ORDINARY_S, stream=1)
        ordinary = ordinary_distance(self._robot, course, self._bar("ordinary walk"))
        seen = self._robot.training_range
        return (*([ObservationDistance.from_range(seen)] if seen else []), ordinary)

    def _course(
        self,
        seconds: float,
        *,
        stream: int,
        disturbance: Disturbance | None = None,
        acts: bool = False,
    ) -> Course:
        s, dt_s = self._settings, self._robot.spec.control_dt_s
        return Course(
            variant=find_variant(s.variant),
            robots=s.robots,
            steps=round(seconds / dt_s),
            # Three kinds of walks: no two of them alike, for any seeds.
            seed=3 * s.seed + stream,
            disturbance=disturbance,
            onset_step=round(ONSET_S / dt_s),
            acts=acts,
        )

    def _walk(self, name: str, course: Course) -> MonitoredWalk:
        place = None if self._out is None else self._out / WALKS / f"{name}.npz"
        stamp = json.dumps(self._stamp, sort_keys=True)
        if place is not None and (kept := kept_walk(place, stamp)) is not None:
            return kept
        walk = monitored_walk(self._robot, course, self._distances, self._bar(name))
        if place is not None:
            try:
                keep_walk(place, walk, stamp)
            except OSError as error:
                raise ConfigError(
                    f"{place} can't be written: {error.strerror}", fix="Name another folder."
                ) from error
        return walk

    def _bar(self, name: str) -> OnStep:
        bar = self._progress.add_task(name, total=None)
        update: Callable[..., None] = self._progress.update
        return lambda step, steps: update(bar, completed=step, total=steps)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"--out {folder.parent} can't be made: {error.strerror}", fix="Name another folder."
        ) from error
