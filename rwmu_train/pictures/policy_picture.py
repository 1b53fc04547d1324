"""Pictures: how policies follow commands, and when they fall."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from rwmu_train.evaluation.policy.entry_labels import entry_labels
from rwmu_train.evaluation.policy.policy_score import PolicyScore
from rwmu_train.evaluation.policy.simulated_episodes import PolicyEpisodes
from rwmu_train.pictures.data_pictures import Picture
from rwmu_train.pictures.style import (
    ACTUAL,
    COMMANDED,
    QUIET,
    WIDTH_IN,
    picture_style,
    say_instead,
)

_DPI = 120
_COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")
_AXES = ("vx [m/s]", "vy [m/s]", "wz [rad/s]")
_BY_COMMAND = {
    "velocity_ratio": "velocity ratio",
    "yaw_ratio": "yaw ratio",
    "linear_tracking": "linear tracking",
    "yaw_tracking": "yaw tracking",
    "fall_share": "falls",
}
_HEIGHTS_IN = (4.4, 7.6, 3.0)
_Part = Figure | SubFigure
Episodes = Mapping[tuple[str, str], PolicyEpisodes]
"""By policy and variant."""
Scores = Mapping[tuple[str, str], PolicyScore]


def policy_png(episodes: Episodes, scores: Scores) -> bytes:
    """A PNG file's bytes: one episode of the first entry, and all entries beside each other."""
    content = io.BytesIO()
    with picture_style():
        figure = Figure(figsize=(WIDTH_IN, sum(_HEIGHTS_IN)), dpi=_DPI, layout="constrained")
        parts = figure.subfigures(3, 1, squeeze=False, height_ratios=_HEIGHTS_IN, hspace=0.02)
        top, middle, below = parts.ravel()
        top.suptitle(_followed_title(episodes), x=0.01, ha="left", size=10, weight="bold")
        _draw_following(top, next(iter(episodes.values())))
        _draw_by_command(middle, scores)
        _draw_falls(below, episodes, scores)
        FigureCanvasAgg(figure).print_png(content)
    return content.getvalue()


def policy_pictures(episodes: Episodes, scores: Scores) -> tuple[Picture, ...]:
    """The same, drawing by drawing."""
    with picture_style():
        following, by_command, falls = (
            Figure(figsize=(WIDTH_IN, height), layout="constrained") for height in _HEIGHTS_IN
        )
        _draw_following(following, next(iter(episodes.values())))
        _draw_by_command(by_command, scores)
        _draw_falls(falls, episodes, scores)
    return (
        Picture(
            _followed_title(episodes),
            "Commanded and true velocity of the base, of robot 0 until its end or its fall.",
            following,
        ),
        Picture(
            "By command",
            "Means over all steps under commands of a kind, and the share of such commands under "
            "which a robot fell. A ratio is velocity along the command over the commanded one: 0 "
            "is standing still, 1 is what was asked for.",
            by_command,
        ),
        Picture("Falls", "Of all episodes, each until its first fall.", falls),
    )


def _followed_title(episodes: Episodes) -> str:
    return f"One episode of {next(iter(entry_labels(episodes).values()))}"


def _draw_following(part: _Part, episode: PolicyEpisodes) -> None:
    axes = part.subplots(3, 1, sharex=True)
    fall = int(episode.fall_step[0])
    steps = len(episode.velocity) if fall < 0 else fall
    time_s = np.arange(1, steps + 1) * episode.control_dt_s
    for i, axis in enumerate(axes):
        axis.plot(time_s, episode.asked_velocity[:steps, i], color=COMMANDED, lw=1.2,
                  label="command")  # fmt: skip
        axis.plot(time_s, episode.velocity[:steps, i], color=ACTUAL, lw=0.9, label="robot")
        axis.set_ylabel(_AXES[i])
        axis.set_xlim(0.0, episode.settings.seconds)
        axis.grid()
    _legend(axes[0])
    axes[-1].set_xlabel("time [s]")


def _draw_by_command(part: _Part, scores: Scores) -> None:
    axes = part.subplots(len(_BY_COMMAND), 1, sharex=True)
    names = list(dict.fromkeys(name for score in scores.values() for name in score.by_command))
    labels, width = entry_labels(scores), 0.8 / len(scores)
    for axis, (figure, title) in zip(axes, _BY_COMMAND.items(), strict=True):
        for i, (key, score) in enumerate(scores.items()):
            found = [getattr(score.by_command.get(name), figure, None) for name in names]
            values = [np.nan if value is None else value for value in found]
            place = np.arange(len(names)) + (i - (len(scores) - 1) / 2) * width
            axis.bar(place, values, width, color=_colour(i), lw=0, label=labels[key])
        axis.set_ylabel(title)
        axis.grid(axis="y")
        if figure == "fall_share":
            axis.yaxis.set_major_formatter(PercentFormatter(1.0))
        else:
            axis.axhline(1.0, color=COMMANDED, lw=0.8)
            axis.set_ylim(0.0, 1.25)
    axes[-1].set_xticks(np.arange(len(names)), names, rotation=25, ha="right")
    axes[-1].set_xlim(-0.6, len(names) - 0.4)
    _legend(axes[0])


def _draw_falls(part: _Part, episodes: Episodes, scores: Scores) -> None:
    over_time, since_command = part.subplots(1, 2)
    if not any(each.fell.any() for each in episodes.values()):
        say_instead(over_time, "no robot fell")
        since_command.set_axis_off()
        return
    labels = entry_labels(episodes)
    for i, (key, each) in enumerate(episodes.items()):
        fallen = np.sort(each.fall_step[each.fell]) * each.control_dt_s
        share = np.arange(len(fallen) + 1) / len(each.steps)
        over_time.step(
            [0.0, *fallen, each.settings.seconds],
            [*share, share[-1]],
            where="post",
            color=_colour(i),
            label=labels[key],
        )
    over_time.set_ylabel("share that has fallen")
    over_time.set_xlabel("time [s]")
    over_time.set_xlim(0.0, max(each.settings.seconds for each in episodes.values()))
    over_time.set_ylim(bottom=0.0)
    over_time.yaxis.set_major_formatter(PercentFormatter(1.0))
    over_time.grid()
    _legend(over_time)
    _draw_since_command(since_command, scores)


def _draw_since_command(axis: Axes, scores: Scores) -> None:
    for i, score in enumerate(scores.values()):
        times = score.fall_times
        counts, bin_s = times.by_time_since_command, times.since_command_bin_s
        width = bin_s / len(scores)
        place = np.arange(len(counts)) * bin_s + (i + 0.5) * width
        axis.bar(place, counts, 0.9 * width, color=_colour(i), lw=0)
    axis.set_ylabel("falls")
    axis.set_xlabel("time since the command [s]; the first one is given at the start")
    axis.xaxis.label.set_color(QUIET)
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(axis="y")


def _colour(place: int) -> str:
    return _COLOURS[place % len(_COLOURS)]


def _legend(axis: Axes) -> None:
    """Above the drawing, where nothing is covered."""
    axis.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.2)
