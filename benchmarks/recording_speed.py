"""How many rows a second a recording makes, and what of its time is physics.

The parts are timed one after another in one group of robots, then physics alone and the whole
recording with its files, in turns, so that a busy machine slows all alike; read the ratios.

    python benchmarks/recording_speed.py --robots 500 --rounds 3 --json recording_speed.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from rwmu_deploy.collection.transition_segment import write_segment
from rwmu_deploy.contract.asset_folder import asset_path
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_deploy.simulation.robot_variant import NOMINAL, VARIANTS, find_variant
from rwmu_train.policy.policy_checkpoint import load_policy
from rwmu_train.reference.behaviours import Behaviour, follow
from rwmu_train.reference.bundle_policy import load_bundle_policy
from rwmu_train.reference.collector import Collector
from rwmu_train.reference.policy_folders import find_policies
from rwmu_train.reference.recorded_segments import (
    recording_origin,
    recording_origins,
    spans_of,
    write_recording,
)
from rwmu_train.reference.recording import RecordingSettings, RobotGroup, record
from rwmu_train.task.velocity_task import VelocityTask, find_task

WARM_UP_STEPS = 50
PARTS = ("physics", "robot batch", "environment", "policy", "episode buffer", "writing")


@dataclass(frozen=True)
class Cost:
    """Time on the clock and time of processors [us a row], of this process and its children."""

    wall: float
    processor: float

    @classmethod
    def now(cls) -> Cost:
        """Since some time in the past; children count once they have ended."""
        times = os.times()
        return cls(times.elapsed * 1e6, 1e6 * sum(times[:4]))

    def since(self, began: Cost, rows: int) -> Cost:
        """What a row of `rows` cost since then."""
        return Cost((self.wall - began.wall) / rows, (self.processor - began.processor) / rows)


class Stopwatch:
    """Seconds spent in functions, each without those that it calls and that are timed too."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        self._inner_s = [0.0]

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed as a part."""

        def call(*arguments: Any, **options: Any) -> Any:
            self._inner_s.append(0.0)
            began_s = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                took_s = time.perf_counter() - began_s
                self.seconds[part] += took_s - self._inner_s.pop()
                self._inner_s[-1] += took_s

        return call


def main() -> None:
    """Print a table, and write the same as JSON if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--robots", type=int, default=500)
    parser.add_argument("--rows", type=int, default=40_000, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--policies", type=Path, help="run folder (default: the shipped bundle)")
    parser.add_argument("--variant", default=NOMINAL.name, help=", ".join(VARIANTS))
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    spec, task = load_robot_spec("anymal_d"), find_task("anymal_d_flat")
    behaviours = _behaviours(options.policies, spec)
    settings = RecordingSettings(
        rows=options.rows,
        robots=options.robots,
        rows_per_file=options.rows // 4,
        variant=find_variant(options.variant),
    )
    parts = time_parts(behaviours, spec, task, settings)
    physics, whole = [], []
    for _ in range(options.rounds):
        physics.append(physics_alone(spec, settings))
        whole.append(whole_recording(behaviours, spec, task, settings))
    document = _document(options, settings, parts, physics, whole)
    _print(document)
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _behaviours(run: Path | None, spec: RobotSpec) -> list[Behaviour]:
    if run is None:
        bundle = asset_path("robots").parents[1] / "exports" / "anymal_d_flat"
        return [follow(load_bundle_policy(bundle, spec))]
    return [follow(load_policy(folder)[0]) for folder in find_policies([run])]


def time_parts(
    behaviours: Sequence[Behaviour],
    spec: RobotSpec,
    task: VelocityTask,
    settings: RecordingSettings,
) -> dict[str, float]:
    """Microseconds a row of each part, nothing beside anything else."""
    watch = Stopwatch()
    led = [watch.timed("policy", behaviour) for behaviour in behaviours]
    episodes = []
    with RobotGroup(led, spec, task, settings, 0, settings.robots) as group:
        for part, owner, name in (
            ("physics", group.batch._rollout, "rollout"),
            ("robot batch", group.batch, "step"),
            ("environment", group.env, "step"),
        ):
            setattr(owner, name, watch.timed(part, getattr(owner, name)))
        advance = watch.timed("episode buffer", group.advance)
        for _ in range(settings.steps):
            episodes += advance()
        episodes += group.end_all()
    rows = np.concatenate([episode.rows for episode in episodes])
    origin = recording_origin("benchmark", settings.variant, settings.seed)
    with tempfile.TemporaryDirectory() as folder:
        write = watch.timed("writing", write_segment)
        write(Path(folder), spec, rows, spans_of(episodes), origin)
    return {part: 1e6 * seconds / len(rows) for part, seconds in watch.seconds.items()}


def physics_alone(spec: RobotSpec, settings: RecordingSettings) -> Cost:
    """A batch of robots that stand, and nobody who looks at them."""
    with RobotBatch(spec, settings.robots, seed=0, variant=settings.variant) as batch:
        action = np.zeros((batch.count, spec.joint_count))
        for _ in range(WARM_UP_STEPS):
            batch.step(action)
        began = Cost.now()
        for _ in range(settings.steps):
            batch.step(action)
        return Cost.now().since(began, settings.steps * settings.robots)


def whole_recording(
    behaviours: Sequence[Behaviour],
    spec: RobotSpec,
    task: VelocityTask,
    settings: RecordingSettings,
) -> Cost:
    """From the first reset to the last file on the disk."""
    origins = recording_origins([Collector("benchmark")] * len(behaviours), settings)
    with tempfile.TemporaryDirectory() as folder:
        began = Cost.now()
        summary = write_recording(
            record(behaviours, spec, task, settings),
            spec,
            Path(folder),
            origins,
            rows_per_file=settings.rows_per_file,
        )
        return Cost.now().since(began, summary.rows)


def _document(
    options: argparse.Namespace,
    settings: RecordingSettings,
    parts: dict[str, float],
    physics: list[Cost],
    whole: list[Cost],
) -> dict[str, Any]:
    in_turn = sum(parts.values())
    ratios = [alone.wall / all_.wall for alone, all_ in zip(physics, whole, strict=True)]
    processors = os.cpu_count() or 1
    return {
        "robots": settings.robots,
        "rows": settings.rows,
        "variant": settings.variant.name,
        "policies": "shipped bundle" if options.policies is None else options.policies.name,
        "processors": processors,
        "microseconds_per_row": {part: round(value, 2) for part, value in parts.items()},
        "share_in_turn": {part: round(value / in_turn, 3) for part, value in parts.items()},
        "rows_per_second": {
            "physics alone": round(1e6 / statistics.median(cost.wall for cost in physics)),
            "everything in turn": round(1e6 / in_turn),
            "recording": round(1e6 / statistics.median(cost.wall for cost in whole)),
        },
        "rows_per_second_of_free_processors": {
            name: round(processors * 1e6 / statistics.median(cost.processor for cost in costs))
            for name, costs in (("physics alone", physics), ("recording", whole))
        },
        "recording_over_physics_alone": {
            "median": round(statistics.median(ratios), 3),
            "all": [round(ratio, 3) for ratio in ratios],
        },
    }


def _print(document: dict[str, Any]) -> None:
    table = Table("part", "us a row", "share", title="one after another")
    for part, value in document["microseconds_per_row"].items():
        table.add_row(part, f"{value:.1f}", f"{document['share_in_turn'][part]:.0%}")
    console = Console()
    console.print(table)
    for name, rate in document["rows_per_second"].items():
        console.print(f"{name}: {rate:,} rows/s", highlight=False)
    for name, rate in document["rows_per_second_of_free_processors"].items():
        console.print(f"{name}, were all processors free: {rate:,} rows/s", highlight=False)
    ratio = document["recording_over_physics_alone"]["median"]
    console.print(f"recording over physics alone: {ratio:.2f}", highlight=False)


if __name__ == "__main__":
    main()
