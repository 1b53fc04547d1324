"""Picture: what a policy earns, in imagination and in truth, over the weight of the uncertainty.

RWM-U (arXiv:2504.16680), Fig. 4, and what became of the robots beside it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from rwmu_train.pictures.style import ACTUAL, FELL, QUIET, REFERENCE, WIDTH_IN, picture_style
from rwmu_train.studies.spread import GroupFigures

_DPI = 120


def lambda_png(groups: Sequence[GroupFigures], title: str) -> bytes:
    """A PNG file's bytes; groups without a finished cell are left out."""
    content = io.BytesIO()
    with picture_style():
        figure = draw_lambda_sweep([group for group in groups if group.count], title)
        FigureCanvasAgg(figure).print_png(content)
    return content.getvalue()


def draw_lambda_sweep(groups: Sequence[GroupFigures], title: str) -> Figure:
    """Rewards and uncertainty; then falls and how far commands were followed."""
    figure = Figure(figsize=(WIDTH_IN, 4.2), dpi=_DPI, layout="constrained")
    seeds = max(group.count for group in groups)
    spread = "mean and standard deviation over seeds, a dot a seed" if seeds > 1 else "one seed"
    figure.suptitle(f"{title}: {spread}", x=0.008, ha="left", weight="bold")
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1.0))
    curve(left, groups, "imagined_reward_per_s", ACTUAL, "imagined reward")
    curve(left, groups, "reward_per_s", "black", "true reward")
    left.set_ylabel("reward without penalty [1/s]")
    left.set_title("Reward and uncertainty")
    other = left.twinx()
    other.spines["right"].set_visible(True)
    curve(other, groups, "uncertainty", REFERENCE, "uncertainty (right axis)", dash=(0, (4, 2)))
    other.set_ylabel("uncertainty in imagination", color=REFERENCE)
    other.tick_params(axis="y", colors=REFERENCE)
    other.set_ylim(0.0, 1.25 * other.get_ylim()[1])
    low, high = left.get_ylim()
    left.set_ylim(low, high + 0.25 * (high - low))  # room for the legend
    lines = [*left.get_lines(), *other.get_lines()]
    named = [line for line in lines if not str(line.get_label()).startswith("_")]
    left.legend(named, [str(line.get_label()) for line in named], loc="upper left", ncols=3)
    curve(right, groups, "fall_share", FELL, "falls")
    curve(right, groups, "linear_tracking", ACTUAL, "linear tracking")
    curve(right, groups, "velocity_ratio", "black", "actual over commanded velocity")
    right.axhline(1.0, color=QUIET, lw=0.6)
    right.set_ylim(0.0, max(1.3, 1.05 * right.get_ylim()[1]))
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    right.set_title("In the simulated robot")
    right.legend(loc="upper left", ncols=3)
    for axis in (left, right):
        axis.set_xlabel("lambda")
        axis.set_xticks(np.arange(len(groups)), [group.group for group in groups])
        axis.set_xlim(-0.3, len(groups) - 0.7)
        axis.grid()
    return figure


def curve(
    axis: Axes,
    groups: Sequence[GroupFigures],
    name: str,
    colour: str,
    label: str,
    dash: str | tuple[float, tuple[float, ...]] = "-",
) -> None:
    """Mean over seeds with a band of one standard deviation, and every seed as a dot."""
    place = np.arange(len(groups))
    spreads = [group.figures[name] for group in groups]
    mean = np.array([spread.mean for spread in spreads])
    deviation = np.array([spread.deviation or 0.0 for spread in spreads])
    axis.fill_between(place, mean - deviation, mean + deviation, color=colour, alpha=0.12, lw=0)
    axis.plot(place, mean, color=colour, ls=dash, lw=1.4, label=label)
    for x, spread in zip(place, spreads, strict=True):
        axis.plot([x] * len(spread.values), spread.values, color=colour, ls="none", marker="o",
                  ms=3.0)  # fmt: skip
