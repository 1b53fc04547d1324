"""Pictures: what a monitor sees around a disturbance, and how well it tells windows apart."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter, StrMethodFormatter

from rwmu_train.evaluation.monitor.disturbances import DISTURBANCES
from rwmu_train.evaluation.monitor.monitor_judgement import (
    ALL,
    MONITOR,
    ONSET_S,
    ORDINARY_Z,
    TRAINING_Z,
    MonitorJudgement,
)
from rwmu_train.evaluation.monitor.monitored_walk import STATISTICS, MonitoredWalk
from rwmu_train.evaluation.monitor.window_ranking import FALSE_SHARE, WindowRanking
from rwmu_train.pictures.data_pictures import Picture
from rwmu_train.pictures.style import ACTUAL, FELL, QUIET, REFERENCE, WIDTH_IN, picture_style

_DPI = 120
_COLUMNS = 3
_ROW_IN = 2.4
_BEFORE_S, _AFTER_S = 2.0, 8.0
_OF_STATISTIC = dict(zip(STATISTICS, (ACTUAL, REFERENCE, "tab:green"), strict=True))
_OF_NUMBER = {MONITOR: ACTUAL, TRAINING_Z: "0.6", ORDINARY_Z: REFERENCE}
_SMALLEST, _LARGEST = 0.02, 30.0
_Part = Figure | SubFigure
Walks = Mapping[str, MonitoredWalk]
"""By disturbance."""


def monitor_png(judgement: MonitorJudgement, walks: Walks) -> bytes:
    """A PNG file's bytes: traces above, ranking below."""
    content = io.BytesIO()
    heights = _height_in(len(walks)), _height_in(len(judgement.rankings))
    with picture_style():
        figure = Figure(figsize=(WIDTH_IN, sum(heights)), dpi=_DPI, layout="constrained")
        parts = figure.subfigures(2, 1, squeeze=False, height_ratios=heights, hspace=0.03)
        top, below = parts.ravel()
        _draw_traces(top, walks)
        _draw_rankings(below, judgement)
        FigureCanvasAgg(figure).print_png(content)
    return content.getvalue()


def monitor_pictures(judgement: MonitorJudgement, walks: Walks) -> tuple[Picture, ...]:
    """The same, drawing by drawing."""
    with picture_style():
        traces, rankings = (
            Figure(figsize=(WIDTH_IN, _height_in(count)), layout="constrained")
            for count in (len(walks), len(judgement.rankings))
        )
        _draw_traces(traces, walks)
        _draw_rankings(rankings, judgement)
    return (
        Picture(
            "One robot each, around the onset",
            "The monitor's statistics over their thresholds of caution, of a robot that is seen "
            "as late as half of them are. Above the line is a sign; the robot falls at the red "
            "mark.",
            traces,
        ),
        Picture(
            "Windows of 5 s: disturbed ones above a threshold, over undisturbed ones above it",
            "By the largest of the monitor's statistics, and by the observation's largest "
            "distance from the mean, in standard deviations, of the policy's training or of "
            "ordinary walking. The dotted line is at 1 % false.",
            rankings,
        ),
    )


def typical_robot(walk: MonitoredWalk, onset_step: int) -> int:
    """A robot that walks at the onset and is seen as late as half of those that are."""
    end = walk.end_step
    signs = walk.statistics[onset_step + 1 :].max(axis=2) > 1.0
    when = np.where(signs.any(axis=0), signs.argmax(axis=0), len(walk.level))
    order = np.argsort(np.where(end > onset_step, when, 2 * len(walk.level)), kind="stable")
    seen = int((signs.any(axis=0) & (end > onset_step)).sum())
    return int(order[max(0, seen - 1) // 2])


def _height_in(panels: int) -> float:
    return _ROW_IN * -(-panels // _COLUMNS) + 0.4


def _panels(part: _Part, count: int) -> list[Axes]:
    rows = -(-count // _COLUMNS)
    axes = part.subplots(rows, _COLUMNS, squeeze=False, sharex=True, sharey=True).ravel()
    for axis in axes[count:]:
        axis.set_axis_off()
    for axis in axes[max(0, count - _COLUMNS) : count]:
        axis.tick_params(labelbottom=True)
    return list(axes[:count])


def _draw_traces(part: _Part, walks: Walks) -> None:
    axes = _panels(part, len(walks))
    for axis, (name, walk) in zip(axes, walks.items(), strict=True):
        onset = round(ONSET_S / walk.control_dt_s)
        robot = typical_robot(walk, onset)
        time_s = (np.arange(len(walk.level)) - onset) * walk.control_dt_s
        for place, (statistic, colour) in enumerate(_OF_STATISTIC.items()):
            values = np.clip(walk.statistics[:, robot, place], _SMALLEST, _LARGEST)
            axis.plot(time_s, values, color=colour, lw=0.8, label=statistic)
        axis.axhline(1.0, color="0.2", lw=0.7)
        axis.axvline(0.0, color=QUIET, lw=0.7, ls=(0, (4, 3)))
        if walk.fall_step[robot] >= 0:
            fall_s = (walk.fall_step[robot] + 1 - onset) * walk.control_dt_s
            axis.axvline(fall_s, color=FELL, lw=1.2)
        axis.set_title(DISTURBANCES[name].words)
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_xlim(-_BEFORE_S, _AFTER_S)
        axis.set_ylim(_SMALLEST, _LARGEST)
        axis.grid()
    for axis in axes[max(0, len(axes) - _COLUMNS) :]:
        axis.set_xlabel("time since the onset [s]")
    axes[0].set_ylabel("over the threshold of caution")
    axes[0].legend(loc="upper left", ncols=3, handlelength=1.0, columnspacing=0.8)


def _draw_rankings(part: _Part, judgement: MonitorJudgement) -> None:
    axes = _panels(part, len(judgement.rankings))
    for axis, (name, ranking) in zip(axes, judgement.rankings.items(), strict=True):
        for number, found in ranking.items():
            _draw_curve(axis, number, found)
        axis.axvline(FALSE_SHARE, color=QUIET, lw=0.7, ls=":")
        axis.set_title("all of them" if name == ALL else DISTURBANCES[name].words)
        axis.set_xscale("log")
        axis.set_xlim(5e-4, 1.0)
        axis.set_ylim(0.0, 1.02)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100.0 * share:g}%"))
        axis.yaxis.set_major_formatter(PercentFormatter(1.0))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid()
        axis.legend(
            loc="lower right", handlelength=1.0, frameon=True, framealpha=0.85, edgecolor="none"
        )
    for axis in axes[max(0, len(axes) - _COLUMNS) :]:
        axis.set_xlabel("undisturbed windows above the threshold")
    axes[0].set_ylabel("disturbed windows above it")


def _draw_curve(axis: Axes, number: str, found: WindowRanking) -> None:
    false, true = found.curve
    axis.plot(
        np.maximum(false, 1e-4),
        true,
        drawstyle="steps-post",
        color=_OF_NUMBER[number],
        lw=1.4 if number == MONITOR else 1.0,
        label=f"{number}: AUROC {found.auroc:.3f}",
    )
