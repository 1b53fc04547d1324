"""Data sets that a study records for itself, each once.

A set appears whole under its name, with a recipe of all that it was made from beside its files;
a study that is run again uses it, if the recipe is the same.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.simulation.robot_variant import NOMINAL, RobotVariant
from rwmu_train.policy.policy_checkpoint import load_policy, weights_sha256
from rwmu_train.reference.behaviours import find_behaviour, follow
from rwmu_train.reference.collector import Collector, collector_of
from rwmu_train.reference.named_sets import find_named_set
from rwmu_train.reference.policy_folders import find_stages, policies_of_set
from rwmu_train.reference.recorded_segments import recording_origins, write_recording
from rwmu_train.reference.recording import RecordingSettings, record
from rwmu_train.run_folder import json_text, write_json
from rwmu_train.task.velocity_task import VelocityTask
from rwmu_train.transitions.new_folder import new_folder

RECIPE = "recipe.json"
STEPS = 1000
"""About so many control steps are made by every robot: an episode of 20 s."""


@dataclass(frozen=True)
class SetToRecord:
    """A named set, and who acts in it.

    Raises:
        ConfigError: There is no such set, it needs policies and there is no run, or a run has
            no stages.
    """

    name: str
    rows: int
    seed: int
    runs: tuple[Path, ...] = ()
    """Of online PPO, with their stages."""
    variant: RobotVariant = NOMINAL

    def __post_init__(self) -> None:
        if not find_named_set(self.name).needs_policies:
            return
        if not self.runs:
            raise ConfigError(
                f"the set '{self.name}' needs policies, and --policies is missing",
                fix="Give a run folder of rwmu-train --method online-ppo.",
            )
        for run in self.runs:
            if not find_stages(run):
                raise ConfigError(
                    f"--policies {run} has no stages", fix="Give a run of --method online-ppo."
                )

    @property
    def policies(self) -> list[Path]:
        """Folders of the policies that take part; none in a set of a scripted behaviour."""
        chosen = find_named_set(self.name)
        return policies_of_set(chosen, self.runs) if chosen.needs_policies else []

    def settings(self) -> RecordingSettings:
        """So many robots that each makes about `STEPS` steps.

        Raises:
            ConfigError: There are fewer rows than pairs of a policy and a noise level.
        """
        noise = find_named_set(self.name).action_noise
        pairs = max(1, len(self.policies)) * len(noise)
        return RecordingSettings(
            rows=self.rows,
            robots=pairs * max(1, round(self.rows / (pairs * STEPS))),
            action_noise=noise,
            seed=self.seed,
            variant=self.variant,
        )

    def refuse_short_episodes(self, rows: int) -> None:
        """Check that episodes can be long enough to learn from.

        Raises:
            ConfigError: A robot makes fewer than `rows` rows.
        """
        settings = self.settings()
        if settings.steps < rows:
            raise ConfigError(
                f"{self.rows} rows of the set '{self.name}' by {settings.robots} robots, one for "
                f"each policy and level of noise, are {settings.steps} each; allowed is {rows} up",
                fix=f"Record {rows * settings.robots} rows or more.",
            )


def recorded(
    wanted: SetToRecord,
    folder: Path,
    spec: RobotSpec,
    task: VelocityTask,
    on_step: Callable[[int, int], None] | None = None,
) -> Path:
    """The set's folder; recorded now if it is not there.

    Raises:
        ConfigError: The folder holds a set of another recipe.
        LogError: The folder can't be written, or holds something else.
    """
    settings = wanted.settings()
    loaded = [load_policy(place) for place in wanted.policies]
    recipe = {
        "set": wanted.name,
        "recording": settings,
        "task": task,
        "robot_sha256": spec.sha256,
        "policies": [weights_sha256(network) for network, _ in loaded],
    }
    if (folder / RECIPE).is_file():
        _refuse_another_recipe(folder / RECIPE, recipe)
        return folder
    for left in folder.parent.glob(f".{folder.name}.*.partial"):
        shutil.rmtree(left)
    if loaded:
        behaviours = [follow(network) for network, _ in loaded]
        who = [collector_of(place) for place in wanted.policies]
    else:
        script = find_behaviour(wanted.name)
        behaviours = [script.make(spec, settings.robots, settings.seed)]
        who = [Collector(wanted.name)]
    with new_folder(folder) as place:
        write_recording(
            record(behaviours, spec, task, settings, on_step),
            spec,
            place,
            recording_origins(who, settings),
            rows_per_file=settings.rows_per_file,
        )
        write_json(place / RECIPE, recipe)
    return folder


def _refuse_another_recipe(path: Path, recipe: dict[str, Any]) -> None:
    theirs, ours = json.loads(path.read_text()), json.loads(json_text(recipe))
    for name, value in ours.items():
        if theirs.get(name) != value:
            raise ConfigError(
                f"{path} was recorded with another {name}",
                fix="Run the study with the options that it was begun with, or name a new --out.",
            )
