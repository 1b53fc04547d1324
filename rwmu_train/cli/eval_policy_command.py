"""`rwmu-eval policy`: how well policies walk in the simulated robot."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from rwmu_deploy.cli.command_line import EXIT_OK
from rwmu_deploy.contract.bundle_files import MANIFEST_NAME
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.simulation.robot_variant import VARIANTS, RobotVariant, find_variant
from rwmu_train.cli.output_file import write_json, write_output
from rwmu_train.evaluation.policy.policy_score import return_over_reference, score_episodes
from rwmu_train.evaluation.policy.policy_table import print_scores
from rwmu_train.evaluation.policy.policy_video import policy_gif
from rwmu_train.evaluation.policy.simulated_episodes import (
    EpisodeSettings,
    Policy,
    PolicyEpisodes,
    simulate_episodes,
)
from rwmu_train.pictures.policy_picture import policy_png
from rwmu_train.policy.policy_checkpoint import load_policy
from rwmu_train.reference.bundle_policy import load_bundle_policy
from rwmu_train.task.velocity_task import TASKS, VelocityTask, find_task

REPORT, PICTURE, VIDEO = "policy.json", "policy.png", "policy.gif"
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
    add("--reference", type=Path, metavar="DIR", help="run or bundle that returns are divided by")
    add(
        "--variant",
        nargs="+",
        default=["nominal"],
        metavar="NAME",
        help=f"simulated robots, of {', '.join(VARIANTS)} (default nominal)",
    )
    add("--task", default="anymal_d_flat", help=f"one of {', '.join(TASKS)}")
    add("--robots", type=int, default=_DEFAULT.robots, help="episodes (default %(default)s)")
    add("--seconds", type=float, default=_DEFAULT.seconds, help="of each (default %(default)s)")
    add("--seed", type=int, default=_DEFAULT.seed, help="of starts and commands")
    add("--noise", type=float, default=0.0, help="observation noise, 1 is the published one")
    add("--pushes", action="store_true", help="push robots as in training")
    add("--out", type=Path, metavar="DIR", help=f"leave {REPORT} and {PICTURE} there")
    add("--video", action="store_true", help=f"also {VIDEO} of the first policy")
    parser.set_defaults(command=_judge)


def _judge(options: argparse.Namespace) -> int:
    if options.video and options.out is None:
        raise ConfigError("--video needs --out", fix="Name a folder with --out.")
    task = find_task(options.task)
    spec = load_robot_spec(task.robot)
    settings = EpisodeSettings(
        options.robots, options.seconds, options.seed, options.noise, options.pushes
    )
    variants = [find_variant(name) for name in dict.fromkeys(options.variant)]
    policies = {str(place): load_any_policy(place, spec) for place in options.policies}
    reference = options.reference and load_any_policy(options.reference, spec)
    console = Console()
    with Progress(console=console, transient=True) as progress:

        def simulate(name: str, policy: Policy, variant: RobotVariant) -> PolicyEpisodes:
            bar = progress.add_task(f"{name}, {variant.name}", total=None)
            return simulate_episodes(
                policy,
                spec,
                task,
                settings,
                variant=variant,
                on_step=lambda step, steps: progress.update(bar, completed=step, total=steps),
            )

        episodes = {
            (name, variant.name): simulate(name, policy, variant)
            for variant in variants
            for name, policy in policies.items()
        }
        ratios = {}
        if reference is not None:
            for variant in variants:
                theirs = simulate(str(options.reference), reference, variant)
                for name in policies:
                    ours = episodes[name, variant.name]
                    ratios[name, variant.name] = return_over_reference(ours, theirs)
    scores = {
        name: [score_episodes(episodes[name, variant.name]) for variant in variants]
        for name in policies
    }
    print_scores(console, scores, ratios)
    if options.out is not None:
        document = {
            "task": task.name,
            "settings": vars(settings),
            "reference": options.reference and str(options.reference),
            "policies": {
                name: {
                    score.variant: score.to_dict()
                    | {"return_over_reference": ratios.get((name, score.variant))}
                    for score in of_variants
                }
                for name, of_variants in scores.items()
            },
        }
        _write(options, document, episodes)
        if options.video:
            _write_video(options, next(iter(policies.values())), spec, task, console)
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
    if facts.robot.sha256 != spec.sha256:
        raise ConfigError(
            f"{folder} was trained for robot '{facts.robot.name}' "
            f"({facts.robot.sha256[:12]}); allowed is '{spec.name}' ({spec.sha256[:12]})",
            fix="Name the task that it was trained for, or train with this robot.yaml.",
        )
    return network


def _write(
    options: argparse.Namespace,
    document: dict[str, Any],
    episodes: dict[tuple[str, str], PolicyEpisodes],
) -> None:
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"--out {options.out} can't be made: {error.strerror}", fix="Name another folder."
        ) from error
    write_json(options.out / REPORT, document)
    shown = {f"{name}, {variant}": each for (name, variant), each in episodes.items()}
    write_output("--out", options.out / PICTURE, policy_png(shown))


def _write_video(
    options: argparse.Namespace,
    policy: Callable[..., Any],
    spec: RobotSpec,
    task: VelocityTask,
    console: Console,
) -> None:
    variant = find_variant(options.variant[0])
    try:
        video = policy_gif(policy, spec, task, variant)
    except ConfigError as error:
        console.print(f"no video: {error}", markup=False)
        return
    write_output("--video", options.out / VIDEO, video)
