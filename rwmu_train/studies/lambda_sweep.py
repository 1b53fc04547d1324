"""How much should the penalty for uncertainty count? RWM-U (arXiv:2504.16680), Fig. 4."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.needed_disagreement import refuse_blind_penalties
from rwmu_train.pictures.lambda_picture import lambda_png
from rwmu_train.studies.cell import Cell
from rwmu_train.studies.offline_cell import OfflineWork
from rwmu_train.studies.results_table import IMAGINED, JUDGED
from rwmu_train.studies.study import Study

LAMBDAS = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Those of the paper for its quadruped."""
_JUDGED = {
    "last": "Judged is the policy after the last iteration.",
    "chosen": "Judged is the policy that the imagined score, penalty included, chose.",
}


def lambda_sweep(work: OfflineWork, members: int, lambdas: Sequence[float], seeds: int) -> Study:
    """One policy a lambda and seed, all in the imagination of one world model.

    Args:
        work: The training; its preset's lambda is replaced.
        members: Of the world model.
        lambdas: Weights of the uncertainty, in the unit of the preset.
        seeds: 0 to `seeds` - 1 are run.

    Raises:
        ConfigError: A lambda is negative, not finite or stands twice, or the world model has one
            member and its uncertainty is to count.
    """
    for weight in lambdas:
        if not 0.0 <= weight < math.inf or lambdas.count(weight) > 1:
            raise ConfigError(
                f"--lambdas {' '.join(f'{value:g}' for value in lambdas)} has {weight:g}; allowed "
                "are finite numbers from 0 up, each once",
                fix="Correct it.",
            )
        refuse_blind_penalties(_with_lambda(work, weight).preset, members)
    cells = [
        Cell(f"{weight:g}", f"lambda_{weight:g}", seed, _with_lambda(work, weight))
        for weight in lambdas
        for seed in range(seeds)
    ]
    imagination = work.preset.imagination
    unit = {
        "absolute": "in normalised units",
        "data_median": "over its median on held-out data",
    }[imagination.uncertainty_unit]
    ends = imagination.end_above_uncertainty
    end = "" if math.isinf(ends) else f"; training episodes end where that passes {ends:g}"
    return Study(
        name="lambda-sweep",
        title="Weight of the uncertainty (lambda)",
        row_title="lambda",
        cells=cells,
        measures=(*IMAGINED, *JUDGED),
        draw=partial(lambda_png, title="Weight of the uncertainty (lambda)"),
        notes=(
            f"Lambda multiplies the uncertainty ({imagination.uncertainty}) {unit}{end}. "
            f"{_JUDGED[work.judged]} "
            f"Imagined figures: {work.preset.timing.episode_steps} steps, reward without penalty, "
            f"uncertainty {imagination.uncertainty} in normalised units. "
            f"{true_figures_note(work)}",
        ),
    )


def true_figures_note(work: OfflineWork) -> str:
    """What the columns of the simulated robot mean."""
    judging = work.judging
    return (
        f"True figures: {judging.robots} episodes of {judging.seconds:g} s in the "
        f"{judging.variant} simulated robot. Reward and return count until the first fall; linear "
        "and yaw are exp(-error² / 0.25); v ratio is actual over commanded velocity."
    )


def _with_lambda(work: OfflineWork, weight: float) -> OfflineWork:
    reward = replace(work.preset.reward, uncertainty_weight=weight)
    return replace(work, preset=replace(work.preset, reward=reward))
