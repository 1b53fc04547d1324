"""Policies' scores side by side, for people: the same lines for console and page."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console

from rwmu_train.evaluation.figure_table import print_figures
from rwmu_train.evaluation.policy.entry_labels import entry_labels
from rwmu_train.evaluation.policy.fall_times import SOON_S
from rwmu_train.evaluation.policy.policy_score import FollowingScore, PolicyScore

Scores = Mapping[tuple[str, str], PolicyScore]
"""By policy and variant."""
Ratios = Mapping[tuple[str, str], tuple[float, tuple[float, float]]]
"""Return over the reference's with its 95 % interval, by policy and variant."""
COMMAND_HEAD = ("command", "commands", "linear", "yaw", "velocity ratio", "yaw ratio", "falls")


def print_scores(console: Console, scores: Scores, ratios: Ratios) -> None:
    """One table with a column for each policy and variant, and one of commands for each."""
    labels = entry_labels(scores)
    heads = [label.replace(", ", "\n") for label in labels.values()]
    print_figures(
        console, "Policies in the simulated robot", ["", *heads], figure_lines(scores, ratios)
    )
    for key, score in scores.items():
        title = f"By command: {labels[key]}"
        print_figures(console, title, COMMAND_HEAD, command_lines(score))


def figure_lines(scores: Scores, ratios: Ratios) -> list[list[str]]:
    """A line a figure: its name, then what each policy and variant has."""
    columns = [_figures(score, ratios.get(key)) for key, score in scores.items()]
    lines = ([name, *(column[name] for column in columns)] for name in columns[0])
    return [line for line in lines if any(line[1:])]


def command_lines(score: PolicyScore) -> list[list[str]]:
    """A line a bin of commands, under COMMAND_HEAD."""
    return [[name, *_command_figures(f)] for name, f in score.by_command.items()]


def _figures(
    score: PolicyScore, ratio: tuple[float, tuple[float, float]] | None
) -> dict[str, str]:
    """Empty where there is nothing to say."""
    f, soon = score.following, score.fall_times.soon_share
    return {
        "episodes": f"{score.episodes} x {score.seconds:g} s",
        "return": f"{score.episode_return:.2f} ± {score.return_standard_error:.2f}",
        "return / reference": "" if ratio is None else f"{ratio[0]:.3f} {_interval(ratio[1])}",
        "linear tracking": f"{f.linear_tracking:.3f}",
        "yaw tracking": f"{f.yaw_tracking:.3f}",
        "velocity ratio": _number(f.velocity_ratio),
        "yaw ratio": _number(f.yaw_ratio),
        "falls": f"{score.fall_share:.1%} ({_percent(score.fall_interval)})",
        f"falls within {SOON_S:g} s of a command": "" if soon is None else f"{soon:.0%} of them",
        "falls: action not a number": str(score.not_a_number or ""),
        "stuck, of commands": f"{f.stuck_share:.2%}" if f.stuck_share else "",
        "torque mean, RMS [Nm]": f"{score.torque_mean_nm:.1f}, {score.torque_rms_nm:.1f}",
        "power [W]": f"{score.power_w:.0f}",
        "action rate": f"{score.action_rate:.2f}",
        "slip [m/s]": f"{score.slip_mps:.3f}",
    }


def _command_figures(f: FollowingScore) -> list[str]:
    return [
        f"{f.commands}",
        f"{f.linear_tracking:.3f}",
        f"{f.yaw_tracking:.3f}",
        _number(f.velocity_ratio),
        _number(f.yaw_ratio),
        f"{f.fall_share:.1%}",
    ]


def _interval(bounds: tuple[float, float]) -> str:
    return f"({bounds[0]:.3f} to {bounds[1]:.3f})"


def _percent(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:.1%} to {bounds[1]:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
