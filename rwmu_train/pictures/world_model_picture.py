"""Picture: a world model's judgement on one page; RWM-U (arXiv:2504.16680), Fig. 3, and more."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import PercentFormatter

from rwmu_train.evaluation.world_model.judgement import HOLD_LAST, LINEAR, Judgement
from rwmu_train.evaluation.world_model.off_data import IN_DATA, OFF_DATA_STEPS
from rwmu_train.evaluation.world_model.prediction_error import TOTAL, l1_error
from rwmu_train.pictures.calibration_picture import (
    draw_coverage,
    draw_ranking,
    draw_reliability,
    number,
)
from rwmu_train.pictures.forecast_picture import draw_forecast
from rwmu_train.pictures.style import (
    ACTUAL,
    FELL,
    QUIET,
    REFERENCE,
    WIDTH_IN,
    block_words,
    picture_style,
    say_instead,
)

_DPI = 120
_LINES = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")


def world_model_png(judgement: Judgement, title: str) -> bytes:
    """A PNG file's bytes."""
    content = io.BytesIO()
    with picture_style():
        figure = draw_world_model(judgement, title)
        FigureCanvasAgg(figure).print_png(content)
    return content.getvalue()


def draw_world_model(judgement: Judgement, title: str) -> Figure:
    """Forecasts of one window, then error, uncertainty and calibration of all of them."""
    heights = (0.75, 4.4, 5.8, 2.9)
    figure = Figure(figsize=(WIDTH_IN, sum(heights)), dpi=_DPI, layout="constrained")
    parts = figure.subfigures(4, 1, squeeze=False, height_ratios=heights, hspace=0.015)
    head, forecast, middle, below = parts.ravel()
    _draw_head(head, judgement, title)
    draw_forecast(forecast, judgement, "mean")
    first, second = middle.subplots(2, 3)
    _draw_error(first[0], judgement)
    _draw_blocks(first[1], judgement)
    _draw_growth(first[2], judgement)
    draw_ranking(second[0], judgement)
    draw_coverage(second[1], judgement)
    draw_reliability(second[2], judgement)
    axes = below.subplots(1, 4, width_ratios=(0.8, 1.1, 0.9, 1.2))
    _draw_noise(axes[0], judgement)
    _draw_contacts(axes[1], judgement)
    _draw_falls(axes[2], judgement)
    _draw_off_data(axes[3], judgement)
    return figure


def _draw_head(figure: SubFigure, j: Judgement, title: str) -> None:
    figure.text(0.008, 0.78, title, size=14, weight="bold", va="center", parse_math=False)
    said = (
        f"Judged on {j.episodes.explanation}. {j.windows.count} windows of {j.windows.episodes} "
        f"episodes, {j.windows.history} rows of history, {j.windows.horizon} steps forecast."
    )
    figure.text(0.008, 0.42, said, color=QUIET, size=8.5, va="center", parse_math=False)
    said = (
        "Ensemble mean fed back where nothing else is said. Below: the window of median error, "
        "its true states, and what the model forecast from its own predictions."
    )
    figure.text(0.008, 0.14, said, color=QUIET, size=8.5, va="center")


def _steps(j: Judgement) -> np.ndarray:
    return np.arange(1, j.windows.horizon + 1)


def _draw_error(axis: Axes, j: Judgement) -> None:
    curves = (
        ("ensemble mean", j.followed["mean"].error, ACTUAL, "-"),
        ("one member a window", j.followed["member"].error, ACTUAL, (0, (4, 2))),
        ("linear model", j.baselines[LINEAR], REFERENCE, "-"),
        ("last state held", j.baselines[HOLD_LAST], QUIET, "-"),
    )
    for name, error, colour, dash in curves:
        axis.plot(_steps(j), error[TOTAL].relative, color=colour, ls=dash, lw=1.4, label=name)
    shown = (j.baselines[HOLD_LAST], *(score.error for score in j.followed.values()))
    largest = max(float(np.nanmax(error[TOTAL].relative)) for error in shown)
    axis.set_ylim(0.0, 1.5 * largest)
    _over_steps(axis, "Relative L1 error", j)
    axis.legend(loc="upper left", ncols=2, frameon=True, framealpha=0.9, edgecolor="none")


def _draw_blocks(axis: Axes, j: Judgement) -> None:
    error = j.followed["mean"].error
    for block, colour in zip(j.episodes.judged.columns.state_blocks, _LINES, strict=True):
        axis.plot(
            _steps(j), error[block.name].relative, color=colour, lw=1.2, label=block_words(block)
        )
    _over_steps(axis, "Relative L1 error by block", j)
    axis.set_ylim(bottom=0.0, top=1.35 * axis.get_ylim()[1])
    axis.legend(loc="upper left", ncols=2, columnspacing=1.0, handlelength=1.2)


def _draw_growth(axis: Axes, j: Judgement) -> None:
    """The paper's Fig. 3: do they rise together?"""
    rollout = j.followed["mean"].rollout
    error = l1_error(rollout.prediction, j.windows.target)
    other = axis.twinx()
    other.spines["right"].set_visible(True)
    for drawn, values, colour in ((axis, error, FELL), (other, rollout.std_sum, ACTUAL)):
        low, high = np.quantile(values, (0.1, 0.9), axis=1)
        drawn.fill_between(_steps(j), low, high, color=colour, alpha=0.15, lw=0)
        drawn.plot(_steps(j), values.mean(axis=1), color=colour, lw=1.4)
        drawn.set_ylim(bottom=0.0)
        drawn.tick_params(axis="y", colors=colour)
    _over_steps(axis, "Error and uncertainty: mean, 10 to 90 %", j)
    axis.set_ylabel("L1 error", color=FELL)
    other.set_ylabel("uncertainty (std_sum)", color=ACTUAL)


def _over_steps(axis: Axes, title: str, j: Judgement) -> None:
    axis.set_title(title)
    axis.set_xlabel("forecast step")
    axis.set_xlim(1 if j.windows.horizon > 1 else 0, max(2, j.windows.horizon))
    axis.grid()


def _draw_noise(axis: Axes, j: Judgement) -> None:
    noise = j.followed["mean"].noise
    axis.plot(list(noise), list(noise.values()), color=ACTUAL, lw=1.4, marker="o", ms=3)
    axis.set_ylim(0.0, 1.15 * max(noise.values()))
    axis.set_title("L1 error at step 8")
    axis.set_xlabel("noise on the history (normalised)")
    axis.grid()


def _draw_contacts(axis: Axes, j: Judgement) -> None:
    names = list(j.contacts)
    if not names:
        say_instead(axis, "the robot has no contacts")
        return
    place = np.arange(len(names))
    for offset, field, colour in ((-0.19, "precision", ACTUAL), (0.19, "recall", REFERENCE)):
        values = [getattr(score, field) or 0.0 for score in j.contacts.values()]
        axis.barh(place + offset, values, 0.34, color=colour, lw=0, label=field)
    axis.set_yticks(place, names)
    axis.set_ylim(len(names) - 0.4, -1.4)
    axis.set_xlim(0.0, 1.0)
    axis.xaxis.set_major_formatter(PercentFormatter(1.0))
    axis.set_title("Contacts, one step ahead")
    axis.grid(axis="x")
    axis.legend(loc="upper left", ncols=2, borderaxespad=0.1)


def _draw_falls(axis: Axes, j: Judgement) -> None:
    falls = j.falls
    if falls.curve is None:
        say_instead(axis, "no falls in the judged rows")
        return
    axis.step(falls.curve.recall, falls.curve.precision, color=FELL, lw=1.4, where="pre")
    axis.set_xlim(0, 1.02)
    axis.set_ylim(0, 1.02)
    axis.set_xlabel("recall")
    axis.set_ylabel("precision")
    axis.set_title(f"{falls.falls} falls in {falls.rows:,} rows")
    average = f"average precision {falls.average_precision:.2f}"
    axis.text(0.97, 0.95, average, transform=axis.transAxes, ha="right", va="top", color="0.25")
    axis.grid()


def _draw_off_data(axis: Axes, j: Judgement) -> None:
    off = j.followed["member"].off_data
    if off is None:
        say_instead(axis, "no other data were given\n(--off-data NAME=DIR)")
        return
    colours = ("black", *_LINES)
    for place, (name, score) in enumerate(off.sets.items()):
        x = [score.uncertainty[step] for step in OFF_DATA_STEPS]
        y = [score.error[step] for step in OFF_DATA_STEPS]
        colour = colours[place % len(colours)]
        axis.plot(x, y, color=colour, lw=1.2, marker="o", ms=3.5, label=name)
        if name == IN_DATA:
            for step, at in zip(OFF_DATA_STEPS, zip(x, y, strict=True), strict=True):
                axis.annotate(f"h={step}", at, xytext=(5, -8), textcoords="offset points",
                              size=7, color=QUIET)  # fmt: skip
    auroc = ", ".join(number(off.auroc[step]) for step in OFF_DATA_STEPS)
    axis.set_title(f"Other data (AUROC {auroc})")
    axis.set_xlabel("mean uncertainty (std_sum)")
    axis.set_ylabel("mean L1 error")
    axis.set_xlim(0.0, 1.1 * axis.get_xlim()[1])
    axis.set_ylim(bottom=0.0)
    axis.grid()
    axis.legend(loc="upper left")
