"""Works that take no time, and what makes the real ones take little."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.pictures.lambda_picture import lambda_png
from rwmu_train.studies.cell import Cell
from rwmu_train.studies.job_runner import JobRunner, run_in_turn
from rwmu_train.studies.results_table import Measure
from rwmu_train.studies.study import Study

IN_TURN = JobRunner("in turn", run_in_turn, here=True)
TINY_PRESET = (
    *("--preset", "quick", "--policy-iterations", "2"),
    *("--set", "imagination.robots=16", "imagination.end_above_uncertainty=inf"),
    *(
        "imagination.most_out_of_range=1",
        "ppo.critic_warm_up_iterations=1",
        "cloning.steps=20",
        "cloning.batch_size=64",
        "cloning.horizon_rows=20",
    ),
    *("early_end=none", "timing.episode_steps=12"),
    *("--episodes", "4", "--seconds", "1"),
)


@dataclass
class Written:
    """A work that writes down that it was done, and may be stopped."""

    value: float
    begun: list[float] = field(default_factory=list)
    stop: type[BaseException] | None = None
    refuse: bool = False

    def settings(self) -> Mapping[str, Any]:
        return {"value": self.value, "inner": {"limit": float("inf")}}

    def figures(self, folder: Path, seed: int, on_stage) -> Mapping[str, float]:
        self.begun.append(self.value)
        if self.stop is not None:
            raise self.stop
        if self.refuse:
            raise ConfigError("it exploded", fix="Try again.")
        if on_stage is not None:
            on_stage("writing", 1, 1)
        names = ("imagined_reward_per_s", "reward_per_s", "uncertainty", "fall_share")
        return dict.fromkeys((*names, "linear_tracking", "velocity_ratio"), self.value + seed)


def study_of(cells: list[Cell]) -> Study:
    return Study(
        name="tiny",
        title="A tiny study",
        row_title="group",
        cells=cells,
        measures=(Measure("reward_per_s", "reward", 3), Measure("fall_share", "falls", 1, True)),
        draw=lambda groups: lambda_png(groups, "A tiny study"),
        notes=("What it means.",),
    )


TINY_WORLD_MODEL = {
    "iterations": 4,
    "batch_size": 40,
    "history": 8,
    "forecast": 3,
    "branches": 2,
    "branch_stride": 2,
    "hidden": 16,
    "head_hidden": 8,
    "validate_every": 2,
    "bootstrap": "by_episode",
    "loss": "huber",
}
TINY_FROM_DATA = (
    *("--preset", "quick", "--policy-iterations", "1", "--episodes", "4", "--seconds", "1"),
    *("--set", *(f"world_model.{name}={value}" for name, value in TINY_WORLD_MODEL.items())),
    *("imagination.robots=16", "imagination.end_above_uncertainty=inf", "early_end=none"),
    *("timing.episode_steps=12", "cloning=none", "ppo.critic_warm_up_iterations=0"),
    "imagination.most_out_of_range=1",
)


def results(study: Path) -> dict[str, int]:
    """When each cell got its result, by name of the cell."""
    found = study.glob("cells/*/result.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in sorted(found)}
