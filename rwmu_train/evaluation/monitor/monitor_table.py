"""A monitor's figures for people: the same lines for console and page."""

from __future__ import annotations

from rich.console import Console

from rwmu_train.evaluation.figure_table import print_figures
from rwmu_train.evaluation.monitor.alarms import Detection, FalseAlarms
from rwmu_train.evaluation.monitor.disturbances import DISTURBANCES
from rwmu_train.evaluation.monitor.monitor_judgement import ALL, MonitorJudgement

DETECTION_HEAD = (
    *("disturbance", "seen", "half by [s]", "90 % by [s]", "lost"),
    *("falls", "seen before", "ahead [s]"),
)
ACTING_HEAD = ("falls", "monitor warns", "monitor acts")


def print_judgement(console: Console, judgement: MonitorJudgement) -> None:
    """Everything, table by table."""
    console.print(undisturbed_words(judgement.undisturbed), markup=False, soft_wrap=True)
    print_figures(console, "When something happens", DETECTION_HEAD, detection_lines(judgement))
    print_figures(console, "Windows: AUROC (seen at 1 % false)", *ranking_table(judgement))
    if judgement.acting:
        print_figures(console, "Falls", ACTING_HEAD, acting_lines(judgement))


def undisturbed_words(found: FalseAlarms) -> str:
    """What was said while nothing happened, in a sentence."""
    return (
        f"Nothing happens: {found.hours:.2f} robot hours, {found.cautions} false cautions "
        f"({found.cautions_per_hour:.2g} an hour), {found.losts} false losts, {found.falls} falls."
    )


def detection_lines(judgement: MonitorJudgement) -> list[list[str]]:
    """A line a disturbance, under DETECTION_HEAD."""
    return [[DISTURBANCES[k].words, *_detection(d)] for k, d in judgement.detections.items()]


def ranking_table(judgement: MonitorJudgement) -> tuple[list[str], list[list[str]]]:
    """A heading, and a line a disturbance and one of all: how well each number ranks windows."""
    numbers = list(judgement.rankings.get(ALL, {}))
    lines = [
        [
            DISTURBANCES[name].words if name in DISTURBANCES else name,
            *(f"{r.auroc:.3f} ({r.seen_at_false_share:.0%})" for r in ranking.values()),
        ]
        for name, ranking in judgement.rankings.items()
    ]
    return ["disturbance", *numbers], lines


def acting_lines(judgement: MonitorJudgement) -> list[list[str]]:
    """A line a disturbance, under ACTING_HEAD."""
    return [
        [DISTURBANCES[name].words, _falls(judgement.detections[name]), _falls(found)]
        for name, found in judgement.acting.items()
    ]


def _detection(d: Detection) -> list[str]:
    return [
        _of(d.seen, d.robots),
        _number(d.median_s),
        _number(d.ninety_percent_s),
        _of(d.lost, d.robots),
        f"{d.falls}",
        _of(d.seen_before_fall, d.falls) if d.falls else "-",
        _number(d.lead_s),
    ]


def _falls(d: Detection) -> str:
    return _of(d.falls, d.robots)


def _of(count: int, total: int) -> str:
    return f"{count}/{total}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
