"""Picture: how policies of several trainings walk, side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from rwmu_train.pictures.style import ACTUAL, QUIET, REFERENCE, WIDTH_IN, picture_style
from rwmu_train.studies.spread import GroupFigures

_DPI = 120
_COLOURS = (ACTUAL, REFERENCE)
_PANELS = (
    ("episode_return", "Return"),
    ("linear_tracking", "Linear tracking"),
    ("velocity_ratio", "Actual over commanded velocity"),
    ("fall_share", "Falls"),
)


def bars_png(
    groups: Sequence[GroupFigures], columns: Sequence[str], series: Sequence[str], title: str
) -> bytes:
    """A PNG file's bytes.

    Args:
        groups: Those without a finished cell are left out.
        columns: Names of the groups in order; with series, the part before ", ".
        series: The part after it, each of one colour; none where there is no such part.
        title: Of the picture.
    """
    content = io.BytesIO()
    with picture_style():
        figure = draw_bars(groups, columns, series, title)
        FigureCanvasAgg(figure).print_png(content)
    return content.getvalue()


def draw_bars(
    groups: Sequence[GroupFigures], columns: Sequence[str], series: Sequence[str], title: str
) -> Figure:
    """One panel a figure, one bar a group: mean, standard deviation, a dot a seed."""
    by_name = {group.group: group for group in groups if group.count}
    seeds = max(group.count for group in by_name.values())
    figure = Figure(figsize=(WIDTH_IN, 6.4), dpi=_DPI, layout="constrained")
    spread = "mean and standard deviation over seeds, a dot a seed" if seeds > 1 else "one seed"
    figure.suptitle(f"{title}: {spread}", x=0.008, ha="left", weight="bold")
    axes = figure.subplots(2, 2, sharex=True).ravel()
    width = 0.8 / max(1, len(series))
    for axis, (name, words) in zip(axes, _PANELS, strict=True):
        for number, one in enumerate(series or ("",)):
            shift = (number - (max(1, len(series)) - 1) / 2.0) * width
            names = [f"{column}, {one}" if one else column for column in columns]
            for place, group in enumerate(names):
                if group in by_name:
                    _bar(axis, place + shift, 0.9 * width, by_name[group], name, number)
            axis.bar(0, 0, 0, color=_COLOURS[number], label=one or None)
        axis.set_title(words)
        axis.axhline(0.0, color=QUIET, lw=0.6)
        axis.grid(axis="y")
        axis.set_xticks(np.arange(len(columns)), [_broken(column) for column in columns])
        axis.set_xlim(-0.6, len(columns) - 0.4)
    axes[-2].axhline(1.0, color=QUIET, lw=0.6)
    axes[-1].yaxis.set_major_formatter(PercentFormatter(1.0))
    axes[-1].set_ylim(0.0, max(0.05, axes[-1].get_ylim()[1]))
    if series:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure


def _bar(
    axis: Axes, place: float, width: float, group: GroupFigures, name: str, number: int
) -> None:
    spread, colour = group.figures[name], _COLOURS[number]
    axis.bar(place, spread.mean, width, color=colour, alpha=0.45, lw=0)
    if spread.deviation is not None:
        axis.errorbar(place, spread.mean, spread.deviation, color=colour, lw=1.2, capsize=3)
    axis.plot([place] * len(spread.values), spread.values, color=colour, ls="none", marker="o",
              ms=3.5)  # fmt: skip


def _broken(words: str) -> str:
    """On two lines where it has two parts."""
    for mark in (" + ", ", "):
        if mark in words:
            return words.replace(mark, f"{mark.rstrip()}\n", 1)
    return words
