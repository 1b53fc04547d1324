"""`rwmu-eval policy`: how well policies walk in the simulated robot."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from rwmu_deploy.cli.command_line import EXIT_OK
from rwmu_deploy.contract.bundle_files import MANIFEST_NAME
from rwmu_deploy.contract.bundle_robot_match import match_robot
from rwmu_deploy.contract.errors import BundleError, ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.simulation.robot_variant import VARIANTS, RobotVariant, find_variant
from rwmu_train.cli.policy_report import (
    FILM,
    PAGE,
    PICTURE,
    REPORT,
    PolicyReport,
    refuse_place,
    write_report,
)
from rwmu_train.evaluation.policy.policy_score import return_over_reference, score_episodes
from rwmu_train.evaluation.policy.policy_table import print_scores
from rwmu_train.evaluation.policy.policy_video import FILMS, policy_film, refuse_film
from rwmu_train.evaluation.policy.simulated_episodes import (
    EpisodeSettings,
    Policy,
    PolicyEpisodes,
    simulate_episodes,
)
from rwmu_train.policy.policy_checkpoint import load_policy
from rwmu_train.reference.bundle_policy import load_bundle_policy
from rwmu_train.task.velocity_task import DEFAULT_TASK, TASKS, VelocityTask, find_task

_DEFAULT = EpisodeSettings()


def add_policy_command(commands: Any) -> None:
    """Add the subcommand to `rwmu-eval`."""
    parser = commands.add_parser("policy", help="let policies walk in the simulated robot")
    add = parser.add_argument
    add(
        "policies",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="run folders or bundles; several are compared",
    )
    add(
        "--reference",
        type=Path,
        metavar="DIR",
        help="run or bundle that returns are divided by; it meets the same starts and commands",
    )
    add(
        "--variant",
        nargs="+",
        default=list(VARIANTS),
        metavar="NAME",
        help=f"simulated robots (default {' '.join(VARIANTS)})",
    )
    add("--task", default=DEFAULT_TASK, help=f"one of {', '.join(TASKS)}")
    add("--robots", type=int, default=_DEFAULT.robots, help="episodes (default %(default)s)")
    add("--seconds", type=float, default=_DEFAULT.seconds, help="of each (default %(default)s)")
    add("--seed", type=int, default=_DEFAULT.seed, help="of starts and commands")
    add("--noise", type=float, default=0.0, help="observation noise, 1 is the published one")
    add("--pushes", action="store_true", help="push robots as in training")
    add("--out", type=Path, metavar="DIR", help=f"leave {REPORT}, {PAGE} and {PICTURE} there")
    add(
        "--video",
        nargs="?",
        const="gif",
        choices=FILMS,
        help=f"also {FILM}.gif or .mp4, the first policy in the first variant (default gif)",
    )
    parser.set_defaults(command=_judge)


def _judge(options: argparse.Namespace) -> int:
    if options.video and options.out is None:
        raise ConfigError("--video needs --out", fix="Name a folder with --out.")
    if options.video:
        refuse_film(options.video)
    if options.out is not None:
        refuse_place(options.out)
    task = find_task(options.task)
    spec = load_robot_spec(task.robot)
    settings = EpisodeSettings(
        options.robots, options.seconds, options.seed, options.noise, options.pushes
    )
    variants = [find_variant(name) for name in dict.fromkeys(options.variant)]
    places = dict.fromkeys([*options.policies, *filter(None, [options.reference])])
    policies = {str(place): load_any_policy(place, spec) for place in places}
    reference = options.reference and str(options.reference)
    console = Console()
    episodes = simulate_policies(policies, variants, spec, task, settings, console)
    ratios, notes = {}, []
    if reference is not None:
        ratios, notes = _over_reference(episodes, reference)
    scores = {key: score_episodes(each) for key, each in episodes.items()}
    print_scores(console, scores, ratios)
    film = None
    if options.video:
        try:
            first = policies[str(options.policies[0])]
            film = options.video, policy_film(first, spec, task, variants[0], options.video)
        except ConfigError as error:
            notes.append(f"no video: {error}")
    for note in notes:
        console.print(f"note: {note}", markup=False, style="yellow", soft_wrap=True)
    if options.out is not None:
        report = PolicyReport(
            task.name, settings, episodes, scores, reference, ratios, tuple(notes)
        )
        write_report(options.out, report, film)
        console.print(f"Report: {options.out}", markup=False, soft_wrap=True)
    return EXIT_OK


def load_any_policy(folder: Path, spec: RobotSpec) -> Policy:
    """The policy of a run folder, or of a bundle.

    Raises:
        CheckpointError: There is none, or it is of another robot.
        BundleError: The bundle can't be trusted.
    """
    if (folder / MANIFEST_NAME).exists():
        return load_bundle_policy(folder, spec)
    network, facts = load_policy(folder)
    try:
        fits = match_robot(facts.robot, spec).joint_names == spec.joint_names
        problem = "its joints are in another order"
    except BundleError as error:
        fits, problem = False, error.problem
    if not fits:
        raise ConfigError(
            f"{folder} was trained for robot '{facts.robot.name}' and not for '{spec.name}' as it "
            f"is: {problem}",
            fix="Name the task that it was trained for, or train with this robot.yaml.",
        )
    return network


def simulate_policies(
    policies: Mapping[str, Policy],
    variants: Iterable[RobotVariant],
    spec: RobotSpec,
    task: VelocityTask,
    settings: EpisodeSettings,
    console: Console,
) -> dict[tuple[str, str], PolicyEpisodes]:
    """Every policy on every variant."""
    episodes = {}
    with Progress(console=console, transient=True) as progress:
        bars = {
            (name, variant): progress.add_task(f"{name}, {variant.name}", total=None, start=False)
            for name in policies
            for variant in variants
        }
        for (name, variant), bar in bars.items():
            progress.start_task(bar)
            episodes[name, variant.name] = simulate_episodes(
                policies[name],
                spec,
                task,
                settings,
                variant=variant,
                on_step=lambda step, steps, bar=bar: progress.update(
                    bar, completed=step, total=steps
                ),
            )
    return episodes


def _over_reference(
    episodes: Mapping[tuple[str, str], PolicyEpisodes], reference: str
) -> tuple[dict[tuple[str, str], tuple[float, tuple[float, float]]], list[str]]:
    """Returns over the reference's where they mean something, and where they don't."""
    ratios, notes = {}, []
    for (name, variant), each in episodes.items():
        if name == reference:
            continue
        try:
            ratios[name, variant] = return_over_reference(each, episodes[reference, variant])
        except ConfigError as error:
            notes.append(f"{name}, {variant}: no return over the reference's: {error}")
    return ratios, notes
