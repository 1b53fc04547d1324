"""How much data of the real robot should there be? RWM-U (arXiv:2504.16680), Table 1.

The nominal simulated robot stands in for the paper's simulator, the field variant for its real
robot. As there, rows of the field come from a robot that walks well, and hardly ever falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rwmu_deploy.simulation.robot_variant import FIELD
from rwmu_train.pictures.bars_picture import bars_png
from rwmu_train.policy.policy_checkpoint import load_policy, weights_sha256
from rwmu_train.presets import OnlinePreset
from rwmu_train.studies.cell import Cell
from rwmu_train.studies.judged_policies import JudgeWork, OnlineWork
from rwmu_train.studies.lambda_sweep import true_figures_note
from rwmu_train.studies.offline_cell import OfflineWork, cells_of_seeds, shared_note
from rwmu_train.studies.recorded_sets import SetToRecord
from rwmu_train.studies.results_table import JUDGED
from rwmu_train.studies.study import Study

PARTS = 5
"""Rows are recorded in so many parts of equal size; a mix is made of whole parts."""
FIELD_PARTS = (0, 1, 2, 3)
"""Of the parts of a mix, so many are of the field: 1 M + 0, 800 K + 200 K, ..."""
TITLE = "Simulated and field data, judged in the field"


@dataclass(frozen=True)
class Parts:
    """The rows that mixes are made of, in parts."""

    sim: tuple[SetToRecord, ...]
    field: tuple[SetToRecord, ...]

    @staticmethod
    def of(rows: int, runs: Sequence[Path], sim_set: str, field_set: str) -> Parts:
        """For mixes of `rows` rows in all.

        Raises:
            ConfigError: A set's name is unknown, or a run has no stages.
        """
        part, acting = rows // PARTS, tuple(runs)
        return Parts(
            tuple(SetToRecord(sim_set, part, seed, acting) for seed in range(PARTS)),
            tuple(
                SetToRecord(field_set, part, PARTS + number, acting, FIELD)
                for number in range(max(FIELD_PARTS))
            ),
        )


@dataclass(frozen=True)
class Online:
    """Online PPO to compare with: runs that are there, else how one is trained for each seed."""

    runs: Sequence[Path]
    preset: OnlinePreset


def sim_and_field(
    work: OfflineWork,
    sim: Sequence[tuple[Path, tuple[str, ...]]],
    field: Sequence[tuple[Path, tuple[str, ...]]],
    rows: int,
    seeds: int,
    one_world_model: bool,
    collector: Path,
    online: Online,
    facts: dict[str, Any],
) -> Study:
    """Policies from mixes of data, beside the policy that collected and online PPO.

    Args:
        work: The training; its data are replaced by those of a mix.
        sim: Folder and file hashes of each part of nominal rows.
        field: The same of the field's.
        rows: Of a mix.
        seeds: 0 to `seeds` - 1 are run.
        one_world_model: Whether the seeds of a mix share one.
        collector: The best of the policies that walked in the field.
        online: What to compare with.
        facts: About the data, for study.json.
    """
    cells: list[Cell] = []
    for count in FIELD_PARTS:
        parts = [*sim[: PARTS - count], *field[:count]]
        mixed = replace(
            work,
            data=tuple(folder for folder, _ in parts),
            data_sha256=tuple(sha256 for _, hashes in parts for sha256 in hashes),
        )
        share = rows // PARTS
        group = f"{_words(share * (PARTS - count))} sim + {_words(share * count)} field"
        slug = f"sim_{PARTS - count}_field_{count}"
        cells += cells_of_seeds(group, slug, mixed, seeds, one_world_model=one_world_model)
    cells.append(Cell("collecting policy", "collector", 0, _judge(work, collector)))
    for seed, run in enumerate(online.runs):
        cells.append(Cell("online PPO, nominal", "online", seed, _judge(work, run)))
    if not online.runs:
        trained = OnlineWork(work.task, online.preset, work.judging)
        cells += [Cell("online PPO, nominal", "online", seed, trained) for seed in range(seeds)]
    groups = tuple(dict.fromkeys(cell.group for cell in cells))
    return Study(
        name="sim-and-field",
        title=TITLE,
        row_title="data",
        cells=cells,
        measures=JUDGED,
        draw=partial(bars_png, columns=groups, series=(), title=TITLE),
        notes=(f"{true_figures_note(work)}{shared_note(one_world_model)}",),
        facts=facts,
    )


def _judge(work: OfflineWork, policy: Path) -> JudgeWork:
    network, _ = load_policy(policy)
    return JudgeWork(work.task, policy.resolve(), weights_sha256(network), work.judging)


def _words(rows: int) -> str:
    if rows >= 1_000_000:
        return f"{rows / 1_000_000:g} M"
    return f"{rows / 1000:g} K" if rows else "0"
