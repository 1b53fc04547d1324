"""Find the numbers of a biped's gait: evolution of gaits that walk in the simulated robot.

    python -m rwmu_train.gait.gait_search --task TASK --out gait.yaml

Begins with the robot's gait.yaml; that of a new biped may be another's at first. Candidates are
drawn, walk beside each other, are pushed, and are ranked by the task's reward (covariance matrix
adaptation: Hansen, arXiv:1604.00772).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cma
import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from rwmu_deploy.cli.command_line import EXIT_OK, CommandParser, run_command
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_train.environment.attended_robots import AttendedRobots
from rwmu_train.environment.simulated_dynamics import SimulatedDynamics
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.gait.gait_settings import NAMES, GaitSettings, load_gait_settings
from rwmu_train.gait.gait_teacher import SteppingRobots
from rwmu_train.task.velocity_task import (
    TASKS,
    EpisodeTiming,
    ObservationNoise,
    RewardShape,
    VelocityTask,
    find_task,
)

FloatArray = NDArray[np.float64]
TIMING = EpisodeTiming(push_steps=(60, 90), command_steps=(125, 250))
REWARD = RewardShape(clip_at_zero=False, termination_penalty=1.0)
_ADDED = {
    "placement_x_m": 0.02,
    "placement_outward_m": 0.02,
    "com_x_m": 0.02,
    "com_z_m": 0.04,
    "pitch_rad": 0.03,
}
"""What a draw of 1 adds to the numbers that may have either sign (`SIGNED`)."""
_FACTOR = {
    "step_s": 0.1,
    "lift_m": 0.05,
    "placement_gain_x": 0.15,
    "placement_gain_y": 0.15,
    "base_height_m": 0.01,
    "friction": 0.1,
}
"""Of the others the logarithm of the factor; a low foot stumbles elsewhere than in simulation."""
_OTHER_FACTOR = 0.3


@dataclass(frozen=True)
class SearchSettings:
    """How long is searched, and how widely.

    Raises:
        ConfigError: Too little of something.
    """

    generations: int = 60
    candidates: int = 32
    """Of a generation."""
    robots: int = 16
    """Of a candidate, each with its own commands and pushes."""
    steps: int = 250
    sigma: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"generations": 1, "candidates": 4, "robots": 1, "steps": 1, "seed": 0}
        for name, lowest in least.items():
            value = getattr(self, name)
            if not value >= lowest:
                raise ConfigError(
                    f"{name} is {value}; allowed is {lowest} up", fix="Ask for more."
                )


def search(
    spec: RobotSpec,
    task: VelocityTask,
    begin: GaitSettings,
    settings: SearchSettings,
    on_generation: Callable[[int, float], None] | None = None,
) -> GaitSettings:
    """A gait near `begin` that the task rewards more.

    Args:
        spec: The robot.
        task: What is asked of it.
        begin: Where the search begins.
        settings: Its length.
        on_generation: Told generations done and the mean reward of a second.
    """
    options = {"popsize": settings.candidates, "seed": settings.seed + 1, "verbose": -9}
    evolution = cma.CMAEvolutionStrategy(len(NAMES) * [0.0], settings.sigma, options)
    for generation in range(settings.generations):
        draws = np.array(evolution.ask())
        rewards = rewards_of(spec, task, varied(begin, draws), settings, seed=generation)
        evolution.tell(list(draws), list(-rewards))
        if on_generation is not None:
            on_generation(generation + 1, float(rewards.mean()))
    found = varied(begin, np.array(evolution.mean)[None])
    return replace(found, **{name: float(getattr(found, name)[0]) for name in NAMES})


def varied(begin: GaitSettings, draws: FloatArray) -> GaitSettings:
    """As many gaits as there are draws (n, numbers); numbers of shape (n,)."""
    numbers = {}
    for name, draw in zip(NAMES, draws.T, strict=True):
        number = getattr(begin, name)
        factor = np.exp(_FACTOR.get(name, _OTHER_FACTOR) * draw)
        numbers[name] = number + _ADDED[name] * draw if name in _ADDED else number * factor
    return replace(begin, **numbers)


def rewards_of(
    spec: RobotSpec,
    task: VelocityTask,
    gaits: GaitSettings,
    settings: SearchSettings,
    *,
    seed: int,
) -> FloatArray:
    """The task's reward a second of gaits whose numbers are of shape (n,); a fall costs 1."""
    numbers = {name: np.repeat(getattr(gaits, name), settings.robots) for name in NAMES}
    count = len(numbers["step_s"])
    with RobotBatch(spec, count, seed=seed) as batch, torch.no_grad():
        wanted = EnvSettings(TIMING, REWARD, ObservationNoise())
        env = VelocityEnv(spec, task, wanted, SimulatedDynamics(batch), seed=seed)
        gait = SteppingRobots(spec, replace(gaits, **numbers), count)
        robots, earned = AttendedRobots(env, gait), torch.zeros(count)
        for _ in range(settings.steps):
            earned += robots.step(robots.answer(env.get_observations()["critic"]))
    seconds = settings.steps * spec.control_dt_s
    rewards = earned.reshape(-1, settings.robots).mean(1).double().numpy() / seconds
    # A gait that is not a number all the way is none.
    return np.where(np.isfinite(rewards), rewards, -1.0e3)


def written(gait: GaitSettings) -> str:
    """As a gait.yaml."""
    joints = {"held_joints": list(gait.held_joints), "soft_joints": list(gait.soft_joints)}
    numbers = {name: float(f"{getattr(gait, name):.4g}") for name in NAMES}
    return yaml.safe_dump({**joints, **numbers}, sort_keys=False)


def main(words: Sequence[str] | None = None) -> int:
    """The command."""
    return run_command(lambda: _searched(_parser().parse_args(words)))


def _parser() -> CommandParser:
    parser = CommandParser(prog="gait_search", description=__doc__)
    parser.add_argument("--task", required=True, help=f"one of {', '.join(TASKS)}")
    parser.add_argument("--out", type=Path, required=True, help="the gait.yaml to write")
    for name in ("generations", "candidates", "robots", "steps", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(SearchSettings, name))
    return parser


def _searched(options: argparse.Namespace) -> int:
    task = find_task(options.task)
    spec = load_robot_spec(task.robot)
    chosen = {name: value for name, value in vars(options).items() if name not in ("task", "out")}
    settings = SearchSettings(**chosen)
    if not options.out.parent.is_dir():
        raise ConfigError(
            f"--out {options.out}: there is no folder {options.out.parent}", fix="Make it first."
        )
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("gaits", total=settings.generations)
        gait = search(
            spec,
            task,
            load_gait_settings(spec),
            settings,
            lambda done, reward: progress.update(
                bar, completed=done, description=f"gaits, {reward:.2f} a second"
            ),
        )
    options.out.write_text(written(gait), encoding="utf-8")
    print(f"Written to {options.out}; it belongs beside the robot.yaml.")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
