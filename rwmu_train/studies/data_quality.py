"""What must data hold, and does the penalty help? RWM-U (arXiv:2504.16680), Fig. 5."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.needed_disagreement import refuse_blind_penalties
from rwmu_train.pictures.bars_picture import bars_png
from rwmu_train.presets import OfflinePreset
from rwmu_train.studies.lambda_sweep import true_figures_note
from rwmu_train.studies.offline_cell import OfflineWork, cells_of_seeds, shared_note
from rwmu_train.studies.results_table import IMAGINED, JUDGED
from rwmu_train.studies.study import Study

SETS = ("random", "medium", "expert", "mixed")
MOPO, MBPO = "MOPO-PPO", "MBPO-PPO"
TITLE = "Quality of the data"


def refuse_no_penalty(preset: OfflinePreset) -> None:
    """Check that MOPO-PPO differs from MBPO-PPO.

    Raises:
        ConfigError: The preset has no penalty, or one member that can't disagree.
    """
    weight = preset.reward.uncertainty_weight
    if not 0.0 < weight < math.inf:
        raise ConfigError(
            f"reward.uncertainty_weight is {weight}: MOPO-PPO needs a finite penalty "
            "above 0, or it would be MBPO-PPO",
            fix="Choose a preset with a penalty.",
        )
    refuse_blind_penalties(preset, preset.world_model.members)


def without_uncertainty(preset: OfflinePreset) -> OfflinePreset:
    """MBPO-PPO: one member, no penalty, and no episode that ends for its uncertainty."""
    return replace(
        preset,
        world_model=replace(preset.world_model, members=1),
        imagination=replace(
            preset.imagination, uncertainty_unit="absolute", end_above_uncertainty=math.inf
        ),
        reward=replace(preset.reward, uncertainty_weight=0.0),
    )


def data_quality(
    work: OfflineWork,
    data: Mapping[str, tuple[Path, tuple[str, ...]]],
    seeds: int,
    one_world_model: bool,
    facts: dict[str, Any],
) -> Study:
    """Each set with both methods.

    Args:
        work: The training by MOPO-PPO; its data are replaced by those of a set.
        data: Folder and file hashes of each set.
        seeds: 0 to `seeds` - 1 are run.
        one_world_model: Whether the seeds of a set and method share one.
        facts: About the data, for study.json.
    """
    presets = {MOPO: work.preset, MBPO: without_uncertainty(work.preset)}
    cells = [
        cell
        for name, (folder, hashes) in data.items()
        for method, preset in presets.items()
        for cell in cells_of_seeds(
            f"{name}, {method}",
            f"{name}-{method.lower()}",
            replace(work, preset=preset, data=(folder,), data_sha256=hashes),
            seeds,
            one_world_model=one_world_model,
        )
    ]
    return Study(
        name="data-quality",
        title=TITLE,
        row_title="data, method",
        cells=cells,
        measures=(*IMAGINED, *JUDGED),
        draw=partial(bars_png, columns=tuple(data), series=(MOPO, MBPO), title=TITLE),
        notes=(
            f"MOPO-PPO: lambda {work.preset.reward.uncertainty_weight:g}, "
            f"{work.preset.world_model.members} members; MBPO-PPO: lambda 0, one member. "
            f"{true_figures_note(work)}{shared_note(one_world_model)}",
        ),
        facts=facts,
    )


def refuse_doubles(names: Sequence[str]) -> None:
    """Check that no set is named twice.

    Raises:
        ConfigError: One is.
    """
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"--sets {' '.join(names)} has {name} twice; allowed is each set once",
                fix="Leave one out.",
            )
