"""A cell that learns offline: from data to a world model, to a policy, to its judgement."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.simulation.robot_variant import find_variant
from rwmu_train.evaluation.simulated_score import Policy, score_in_simulation
from rwmu_train.imagined_ppo import ImaginedPpo, PolicyCallbacks
from rwmu_train.offline_training import last_policy, train_policy
from rwmu_train.presets import OfflinePreset
from rwmu_train.studies.cell import Cell, Figures, OnStage
from rwmu_train.studies.imagined_figures import imagined_figures
from rwmu_train.task.velocity_task import VelocityTask, find_task
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.normaliser import choose_normaliser
from rwmu_train.world_model.checkpoint import load_world_model
from rwmu_train.world_model.resume import RESUME
from rwmu_train.world_model.training import WorldModelProgress, train_world_model

IMAGINED_ROBOTS = 500
Judged = Literal["chosen", "last"]


@dataclass(frozen=True)
class Judging:
    """How policies are judged in the simulated robot.

    Raises:
        ConfigError: A number is out of its range.
    """

    variant: str = "nominal"
    robots: int = 200
    """Episodes, one a robot."""
    seconds: float = 20.0

    def __post_init__(self) -> None:
        find_variant(self.variant)
        if not self.robots >= 1:
            raise ConfigError(
                f"--episodes is {self.robots}; allowed is 1 up", fix="Judge at least one episode."
            )
        if not 1.0 <= self.seconds <= 600.0:
            raise ConfigError(
                f"--seconds is {self.seconds}; allowed is 1 to 600", fix="Correct it."
            )

    def figures(self, policy: Policy, task: VelocityTask) -> dict[str, float]:
        """Let robots walk and count; the same robots, starts and commands for every policy."""
        spec = load_robot_spec(task.robot)
        score = score_in_simulation(
            policy,
            spec,
            task,
            robots=self.robots,
            seconds=self.seconds,
            variant=find_variant(self.variant),
        )
        return {
            "reward_per_s": score.episode_return / self.seconds,
            "episode_return": score.episode_return,
            "fall_share": score.fall_share,
            "linear_tracking": score.linear_tracking,
            "yaw_tracking": score.yaw_tracking,
            "velocity_ratio": score.velocity_ratio,
        }


@dataclass(frozen=True)
class OfflineWork:
    """Train offline and judge. Figures depend on the settings, not on where files lie."""

    task: str
    preset: OfflinePreset
    data: tuple[Path, ...]
    data_sha256: tuple[str, ...]
    judging: Judging
    world_model: Path | None = None
    """A trained one; None trains one from the data."""
    world_model_sha256: str | None = None
    world_model_of: str | None = None
    """Name of the cell of the same study whose world model is used; None: one of its own."""
    judged: Judged = "chosen"
    """The policy that the imagined score chose along the training, or the one it ended with."""

    def settings(self) -> Mapping[str, Any]:
        """All that the figures depend on."""
        preset = asdict(self.preset)
        if self.world_model is not None:
            del preset["world_model"], preset["normaliser"]
        return {
            "task": self.task,
            "preset": preset,
            "data_sha256": self.data_sha256,
            "world_model_sha256": self.world_model_sha256,
            "judging": self.judging,
            **({} if self.world_model_of is None else {"world_model_of": self.world_model_of}),
            **({} if self.judged == "chosen" else {"judged": self.judged}),
        }

    def figures(self, folder: Path, seed: int, on_stage: OnStage | None) -> Figures:
        """Train, choose by imagined score, judge in imagination and in the simulated robot.

        The folder is then a run folder like those of `rwmu-train`.
        """
        say = on_stage or (lambda what, done, total: None)
        task = find_task(self.task)
        dataset = load_dataset(self.data, load_robot_spec(task.robot))
        began = time.monotonic()
        place = self._world_model_place(dataset, folder, seed, say)
        model, facts = load_world_model(place, dataset.spec)
        world_model_seconds = time.monotonic() - began
        began = time.monotonic()
        choice = train_policy(
            dataset,
            model,
            facts,
            place,
            task,
            self.preset,
            folder,
            seed=seed,
            resume=True,
            callbacks=_callbacks(self.preset, say),
        )
        policy_seconds = time.monotonic() - began
        policy = choice.network
        if self.judged == "last":
            training = ImaginedPpo(dataset, model, facts, task, self.preset, seed)
            policy = last_policy(training, place, folder)
        say("judging", 0, 1)
        imagined = imagined_figures(
            policy,
            dataset,
            model,
            facts,
            task,
            self.preset.imagination,
            robots=IMAGINED_ROBOTS,
            steps=self.preset.timing.episode_steps,
        )
        errors = facts.held_out.get("error_by_step")
        return {
            **asdict(imagined),
            **self.judging.figures(policy, task),
            **({"world_model_error": errors[-1]} if errors else {}),
            "chosen_iteration": choice.iteration,
            "world_model_seconds": world_model_seconds,
            "policy_seconds": policy_seconds,
        }

    def _world_model_place(
        self, dataset: TransitionDataset, folder: Path, seed: int, say: OnStage
    ) -> Path:
        """A trained one; its training goes on from where an interrupted attempt was."""
        if self.world_model is not None:
            return self.world_model
        if self.world_model_of is not None:
            return folder.parent / self.world_model_of / "world_model"
        place = folder / "world_model"
        settings = self.preset.world_model

        def report(progress: WorldModelProgress) -> None:
            say("world model", progress.iteration, settings.iterations)

        train_world_model(
            dataset,
            choose_normaliser(self.preset.normaliser, dataset),
            settings,
            place,
            seed=seed,
            resume=(place / RESUME).is_file(),
            on_progress=report,
        )
        return place


def cells_of_seeds(
    group: str, slug: str, work: OfflineWork, seeds: int, *, one_world_model: bool
) -> list[Cell]:
    """A row of a table: one cell a seed.

    Args:
        group: The row.
        slug: The row as part of a folder's name.
        work: What each of them does.
        seeds: 0 to `seeds` - 1.
        one_world_model: Whether the first seed's world model serves the others too, so that the
            spread is that of the policies alone.
    """
    first, *others = (Cell(group, slug, seed, work) for seed in range(seeds))
    if one_world_model:
        shared = replace(work, world_model_of=first.name)
        others = [replace(cell, work=shared, follows=first.name) for cell in others]
    return [first, *others]


def shared_note(one_world_model: bool) -> str:
    """What a study's reader has to know of its spread."""
    return " The seeds of a row share one world model." if one_world_model else ""


def _callbacks(preset: OfflinePreset, say: OnStage) -> PolicyCallbacks:
    steps = 0 if preset.cloning is None else preset.cloning.steps
    return PolicyCallbacks(
        on_collectors_step=lambda step, loss: say("what collectors do", step, steps),
        on_cloning_step=lambda step, loss: say("cloning behaviour", step, steps),
        on_iteration=lambda report, _: say("policy", report.iteration, preset.ppo.iterations),
    )
