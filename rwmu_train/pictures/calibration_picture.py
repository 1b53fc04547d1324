"""Pictures: does the uncertainty rank errors, and does it have their size?"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter, StrMethodFormatter

from rwmu_train.evaluation.world_model.calibration import ONE_SIGMA, TWO_SIGMA
from rwmu_train.evaluation.world_model.judgement import Judgement
from rwmu_train.evaluation.world_model.prediction_error import l1_error
from rwmu_train.pictures.style import ACTUAL

_BARE, _CALIBRATED = "0.72", ACTUAL


def draw_ranking(axis: Axes, j: Judgement) -> None:
    """Density of all points, and how well one ranks the other."""
    score = j.followed["mean"]
    error = l1_error(score.rollout.prediction, j.windows.target).ravel()
    uncertainty = score.rollout.std_sum.ravel()
    usable = (error > 0.0) & (uncertainty > 0.0)
    axis.hexbin(
        uncertainty[usable],
        error[usable],
        gridsize=45,
        xscale="log",
        yscale="log",
        cmap="Blues",
        norm=LogNorm(),
        mincnt=1,
        lw=0.1,
        rasterized=True,
    )
    found, counted = score.ranking["std_sum"].all_points, score.step_index.all_points
    axis.set_title("Error over uncertainty, all points")
    axis.set_xlabel("uncertainty (std_sum)")
    axis.set_ylabel("L1 error")
    axis.text(
        0.03,
        0.97,
        f"Spearman {number(found.spearman)}, Pearson {number(found.pearson)}\n"
        f"step number alone {number(counted.spearman)}, {number(counted.pearson)}",
        transform=axis.transAxes,
        va="top",
        color="0.25",
    )
    axis.set_ylim(top=4.0 * float(error.max()))
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.grid()


def number(value: float | None) -> str:
    """Two digits, or a dash for what does not exist."""
    return "-" if value is None else f"{value:.2f}"


def draw_coverage(axis: Axes, j: Judgement) -> None:
    """Share of errors within one and two standard deviations, before and after."""
    score = j.followed["mean"]
    place = np.arange(len(j.steps))
    for offset, values, colour, name in (
        (-0.2, score.coverage_before, _BARE, "bare disagreement"),
        (0.2, score.coverage_after, _CALIBRATED, "calibrated"),
    ):
        two = [values[step].two_sigma for step in j.steps]
        one = [values[step].one_sigma for step in j.steps]
        axis.bar(place + offset, two, 0.36, color=colour, alpha=0.4, lw=0)
        axis.bar(place + offset, one, 0.36, color=colour, lw=0, label=name)
    for share, name in ((ONE_SIGMA, r"$\pm 1\sigma$"), (TWO_SIGMA, r"$\pm 2\sigma$")):
        axis.axhline(share, color="0.3", lw=0.8, ls=(0, (4, 3)))
        axis.text(len(place) - 0.55, share + 0.01, name, va="bottom", color="0.3")
    axis.set_xticks(place, [str(step) for step in j.steps])
    axis.set_xlim(-0.6, len(place) - 0.05)
    axis.set_ylim(0.0, 1.22)
    axis.set_yticks((0.0, 0.25, 0.5, 0.75, 1.0))
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    axis.set_xlabel("forecast step")
    axis.set_title(
        r"Errors within $\mathbf{\pm 1\sigma}$ (dark) and $\mathbf{\pm 2\sigma}$ (pale)"
    )
    axis.legend(loc="upper left", ncols=2)


def draw_reliability(axis: Axes, j: Judgement) -> None:
    """Share of errors within what a normal distribution would hold with every probability."""
    score, target = j.followed["mean"], j.windows.target[:, j.reported]
    rollout = score.rollout.of_windows(j.reported)
    error = np.abs(rollout.prediction - target)
    stated = np.linspace(0.02, 0.98, 49)
    width = [NormalDist().inv_cdf(0.5 + share / 2) for share in stated]
    axis.plot((0, 1), (0, 1), color="0.3", lw=0.8, ls=(0, (4, 3)))
    for sigma, colour, name in (
        (rollout.disagreement, "0.55", "bare disagreement"),
        (score.calibration.sigma(rollout.disagreement), _CALIBRATED, "calibrated"),
    ):
        ratio = np.sort(np.divide(error, sigma, out=np.full_like(error, np.inf), where=sigma > 0),
                        axis=None)  # fmt: skip
        found = np.searchsorted(ratio, width, side="right") / ratio.size
        axis.plot(stated, found, color=colour, lw=1.6, label=name)
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    for along in (axis.xaxis, axis.yaxis):
        along.set_major_formatter(PercentFormatter(1.0))
    axis.set_xlabel("share that a normal distribution has within")
    axis.set_title("Share of errors that is within, all steps")
    axis.grid()
    axis.legend(loc="upper left")
