"""Policies' scores side by side, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from rwmu_train.evaluation.policy.policy_score import FollowingScore, PolicyScore


def print_scores(
    console: Console,
    scores: Mapping[str, Sequence[PolicyScore]],
    ratios: Mapping[tuple[str, str], tuple[float, tuple[float, float]]],
) -> None:
    """A table with a column for each policy and variant, and one of commands for each policy.

    Args:
        console: Where to.
        scores: By policy, one a variant.
        ratios: Return over the reference's with its interval, by policy and variant.
    """
    table = Table(title="Policies in the simulated robot")
    table.add_column()
    columns: list[list[str]] = []
    for name, of_variants in scores.items():
        for score in of_variants:
            table.add_column(f"{name}\n{score.variant}", justify="right")
            columns.append([*_figures(score), _ratio(ratios.get((name, score.variant)))])
    names = [*_NAMES, "return / reference"]
    for name, *row in zip(names, *columns, strict=True):
        if any(row):
            table.add_row(name, *row)
    console.print(table)
    for name, of_variants in scores.items():
        _print_commands(console, f"{name}, {of_variants[0].variant}", of_variants[0])


_NAMES = (
    *("episodes", "return", "linear tracking", "yaw tracking", "velocity ratio", "yaw ratio"),
    *("falls", "torque RMS, Nm", "power, W", "action rate", "slip, m/s"),
)


def _figures(score: PolicyScore) -> list[str]:
    f, (low, high) = score.following, score.fall_interval
    return [
        f"{score.episodes} x {score.seconds:g} s",
        f"{score.episode_return:.2f} ± {score.return_standard_error:.2f}",
        f"{f.linear_tracking:.3f}",
        f"{f.yaw_tracking:.3f}",
        _number(f.velocity_ratio),
        _number(f.yaw_ratio),
        f"{score.fall_share:.1%} ({low:.1%} to {high:.1%})",
        f"{score.torque_rms_nm:.1f}",
        f"{score.power_w:.0f}",
        f"{score.action_rate:.2f}",
        f"{score.slip_mps:.3f}",
    ]


def _ratio(ratio: tuple[float, tuple[float, float]] | None) -> str:
    if ratio is None:
        return ""
    value, (low, high) = ratio
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _print_commands(console: Console, title: str, score: PolicyScore) -> None:
    table = Table(title=f"By command: {title}")
    for heading in (
        "command",
        "commands",
        "linear",
        "yaw",
        "velocity ratio",
        "yaw ratio",
        "falls",
    ):
        table.add_column(heading, justify="left" if heading == "command" else "right")
    for name, figures in score.by_command.items():
        table.add_row(name, *_command_figures(figures))
    console.print(table)


def _command_figures(f: FollowingScore) -> list[str]:
    return [
        f"{f.commands}",
        f"{f.linear_tracking:.3f}",
        f"{f.yaw_tracking:.3f}",
        _number(f.velocity_ratio),
        _number(f.yaw_ratio),
        f"{f.fall_share:.1%}",
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
