"""Picture: how policies follow commands, and when they fall."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rwmu_train.evaluation.policy.policy_score import PolicyScore, score_episodes
from rwmu_train.evaluation.policy.simulated_episodes import COMMAND_SECONDS, PolicyEpisodes
from rwmu_train.pictures.style import (
    ACTUAL,
    COMMANDED,
    WIDTH_IN,
    picture_style,
    say_instead,
)

_DPI = 120
_COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")
_AXES = ("vx [m/s]", "vy [m/s]", "wz [rad/s]")


def policy_png(episodes: Mapping[str, PolicyEpisodes]) -> bytes:
    """A PNG file's bytes: one policy of the first entry in detail, all beside each other."""
    content = io.BytesIO()
    with picture_style():
        FigureCanvasAgg(_draw(episodes)).print_png(content)
    return content.getvalue()


def _draw(episodes: Mapping[str, PolicyEpisodes]) -> Figure:
    figure = Figure(figsize=(WIDTH_IN, 10.5), dpi=_DPI, layout="constrained")
    parts = figure.subfigures(2, 1, squeeze=False, height_ratios=(4.5, 6.0))
    top, below = parts.ravel()
    name, first = next(iter(episodes.items()))
    axes = top.subplots(3, 1, sharex=True)
    top.suptitle(f"One episode of {name}", x=0.01, ha="left", size=10, weight="bold")
    _draw_following(axes, first)
    grid = below.subplots(2, 2)
    scores = {name: score_episodes(each) for name, each in episodes.items()}
    _draw_bins(grid[0, 0], scores, "velocity_ratio", "actual / commanded velocity")
    _draw_bins(grid[0, 1], scores, "linear_tracking", "linear tracking")
    _draw_falls(grid[1, 0], episodes)
    _draw_since_command(grid[1, 1], episodes)
    return figure


def _draw_following(axes: np.ndarray, episode: PolicyEpisodes) -> None:
    time_s = np.arange(1, len(episode.velocity) + 1) * episode.control_dt_s
    fall = int(episode.fall_step[0])
    until = len(time_s) if fall < 0 else fall
    for i, axis in enumerate(axes):
        axis.plot(time_s, episode.asked_velocity[:, i], color=COMMANDED, lw=1.0, label="command")
        axis.plot(time_s[:until], episode.velocity[:until, i], color=ACTUAL, lw=0.9, label="robot")
        axis.set_ylabel(_AXES[i])
        axis.grid(visible=True)
    axes[0].legend(loc="upper right", ncols=2)
    axes[-1].set_xlabel("time [s]")


def _draw_bins(axis: Axes, scores: Mapping[str, PolicyScore], figure: str, title: str) -> None:
    names = list(dict.fromkeys(name for score in scores.values() for name in score.by_command))
    width = 0.8 / len(scores)
    for i, (label, score) in enumerate(scores.items()):
        values = [
            np.nan if (one := score.by_command.get(name)) is None else _value(one, figure)
            for name in names
        ]
        place = np.arange(len(names)) + (i - (len(scores) - 1) / 2) * width
        axis.bar(place, values, width, color=_COLOURS[i % len(_COLOURS)], label=label)
    axis.axhline(1.0, color=COMMANDED, lw=0.8)
    axis.set_xticks(np.arange(len(names)), names, rotation=40, ha="right")
    axis.set_ylim(0.0, 1.25)
    axis.set_title(title)
    axis.legend(loc="lower right")


def _value(score: object, figure: str) -> float:
    value = getattr(score, figure)
    return np.nan if value is None else value


def _draw_falls(axis: Axes, episodes: Mapping[str, PolicyEpisodes]) -> None:
    axis.set_title("share that has fallen")
    for i, (label, each) in enumerate(episodes.items()):
        fallen = np.sort(each.fall_step[each.fell]) * each.control_dt_s
        share = np.arange(1, len(fallen) + 1) / len(each.steps)
        end = each.settings.seconds
        axis.step(
            [0.0, *fallen, end],
            [0.0, *share, share[-1] if len(share) else 0.0],
            where="post",
            color=_COLOURS[i % len(_COLOURS)],
            label=label,
        )
    axis.set_xlabel("time [s]")
    axis.set_ylim(bottom=0.0)
    axis.grid(visible=True)
    axis.legend(loc="upper left")


def _draw_since_command(axis: Axes, episodes: Mapping[str, PolicyEpisodes]) -> None:
    axis.set_title("falls by time since the command changed")
    edges = np.linspace(0.0, COMMAND_SECONDS, 21)
    fallen = {
        label: (each.fall_step[each.fell] * each.control_dt_s) % COMMAND_SECONDS
        for label, each in episodes.items()
        if each.fell.any()
    }
    if not fallen:
        say_instead(axis, "No robot fell.")
        return
    axis.hist(
        list(fallen.values()),
        bins=list(edges),
        color=[_COLOURS[list(episodes).index(label) % len(_COLOURS)] for label in fallen],
        label=list(fallen),
    )
    axis.set_xlabel("time since the command [s]")
    axis.set_ylabel("falls")
    axis.legend(loc="upper right")
