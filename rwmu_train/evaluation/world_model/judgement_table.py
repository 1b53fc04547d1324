"""A world model's judgement as tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rwmu_train.evaluation.world_model.contact_and_fall_scores import DetectionScore
from rwmu_train.evaluation.world_model.judgement import FollowedScore, Judgement
from rwmu_train.evaluation.world_model.off_data import OFF_DATA_STEPS, OffDataScore
from rwmu_train.evaluation.world_model.prediction_error import TOTAL, ErrorCurve
from rwmu_train.evaluation.world_model.uncertainty_ranking import Correlation

NONE = "-"
_FED_BACK = {"mean": "ensemble mean fed back", "member": "one member fed back"}


def print_judgement(console: Console, judgement: Judgement) -> None:
    """All tables, then notes."""
    j = judgement
    _say(
        console,
        f"Judged on {j.episodes.explanation}.\n{j.windows.count} windows of "
        f"{j.windows.episodes} episodes: {j.windows.history} rows of history, "
        f"{j.windows.horizon} steps forecast under the logged actions.",
    )
    console.print(_error_table(j))
    console.print(_block_table(j))
    for followed, score in j.followed.items():
        console.print(_uncertainty_table(_FED_BACK[followed], score, j.steps))
        console.print(_coverage_table(_FED_BACK[followed], score, j.steps))
    console.print(_contact_table(j))
    _say(console, _noise_line(j.followed["mean"].noise))
    off = j.followed["member"].off_data
    if off is not None:
        console.print(_off_data_table(off))
    for note in (*j.notes, *([j.falls.remark] if j.falls.remark else [])):
        _say(console, f"note: {note}", style="yellow")


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=True)


def _table(title: str, names: Sequence[str]) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column(names[0], no_wrap=True)
    for name in names[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _error_table(j: Judgement) -> Table:
    curves = {name: score.error[TOTAL] for name, score in j.followed.items()}
    curves |= {name: curve[TOTAL] for name, curve in j.baselines.items()}
    table = _table("Relative L1 error (absolute), normalised units", ("step", *curves))
    for step in j.steps:
        table.add_row(str(step), *(_both(curve, step) for curve in curves.values()))
    return table


def _both(curve: ErrorCurve, step: int) -> str:
    return f"{curve.relative[step - 1]:.3f} ({_short(curve.absolute[step - 1])})"


def _block_table(j: Judgement) -> Table:
    table = _table(
        "Relative L1 error by block, ensemble mean fed back",
        ("block", *(f"h={step}" for step in j.steps)),
    )
    for name, curve in j.followed["mean"].error.items():
        table.add_row(name, *(_number(curve.relative[step - 1]) for step in j.steps))
    return table


def _uncertainty_table(title: str, score: FollowedScore, steps: Sequence[int]) -> Table:
    """Correlations with the error, where calibration was not fitted."""
    table = _table(
        f"Uncertainty against error, {title}: Pearson / Spearman",
        ("", *score.ranking, "step number"),
    )
    rankings = (*score.ranking.values(), score.step_index)
    table.add_row("all points", *(_pair(each.all_points) for each in rankings))
    table.add_row("step averages", *(_pair(each.step_averaged) for each in rankings))
    for step in steps:
        cells = (_pair(each.by_step[step]) for each in score.ranking.values())
        table.add_row(f"h={step}", *cells, "")
    return table


def _coverage_table(title: str, score: FollowedScore, steps: Sequence[int]) -> Table:
    table = _table(
        f"Errors within sigma, {title}: bare disagreement -> calibrated",
        ("", *(f"h={step}" for step in steps)),
    )
    for name, field in (("1 sigma", "one_sigma"), ("2 sigma", "two_sigma")):
        cells = (
            f"{getattr(score.coverage_before[step], field):.0%} -> "
            f"{getattr(score.coverage_after[step], field):.0%}"
            for step in steps
        )
        table.add_row(name, *cells)
    return table


def _contact_table(j: Judgement) -> Table:
    table = _table(
        f"Contacts and falls one step ahead of true states, {j.falls.rows:,} rows",
        ("", "true rows", "precision", "recall", "F1", "AP"),
    )
    for name, score in j.contacts.items():
        table.add_row(name, *_detection(score), "")
    table.add_row("fall", *_detection(j.falls.at_half), _number(j.falls.average_precision))
    for precision, recall in (j.falls.recall_at_precision or {}).items():
        table.add_row(f"at precision {precision}", "", "", _number(recall), "", "")
    return table


def _detection(score: DetectionScore) -> tuple[str, ...]:
    return (f"{score.rows:,}", *map(_number, (score.precision, score.recall, score.f1)))


def _noise_line(noise: dict[float, float]) -> str:
    said = ", ".join(f"{error:.1f} at {level:g}" for level, error in noise.items())
    return f"L1 error at step 8 by noise on the history (normalised, clean target): {said}"


def _off_data_table(off: OffDataScore) -> Table:
    table = _table(
        "Other data, one member fed back: L1 error | std_sum | large errors",
        ("", "windows", *(f"h={step}" for step in OFF_DATA_STEPS)),
    )
    for name, score in off.sets.items():
        cells = (
            f"{_short(score.error[s])} | {score.uncertainty[s]:.2f} | "
            f"{score.large_error_share[s]:.0%}"
            for s in OFF_DATA_STEPS
        )
        table.add_row(name, str(score.windows), *cells)
    table.add_row("Spearman", "", *(_number(off.spearman[s]) for s in OFF_DATA_STEPS))
    table.add_row("AUROC", "", *(_number(off.auroc[s]) for s in OFF_DATA_STEPS))
    return table


def _pair(value: Correlation) -> str:
    return f"{_number(value.pearson, 2)} / {_number(value.spearman, 2)}"


def _number(value: float | None, digits: int = 3) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def _short(value: float) -> str:
    return f"{value:.1f}" if value < 1000.0 else f"{value:.1e}"
