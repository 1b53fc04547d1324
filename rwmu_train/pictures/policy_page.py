"""Policies on one self-contained HTML page: figures, pictures, figures by command."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import Template

from rwmu_train.evaluation.policy.entry_labels import entry_labels
from rwmu_train.evaluation.policy.policy_table import (
    COMMAND_HEAD,
    Ratios,
    Scores,
    command_lines,
    figure_lines,
)
from rwmu_train.pictures.data_pictures import Picture
from rwmu_train.pictures.page_parts import PAGE_STYLE, number_lines, picture_section

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Policies in the simulated robot</title>
<style>
$style
</style>
</head>
<body>
<h1>Policies in the simulated robot</h1>
<p class="quiet">$asked</p>
$notes
<table class="numbers">$figures</table>
$pictures
<h2>Figures by command</h2>
$commands
</body>
</html>
""")


def policy_page(
    scores: Scores, ratios: Ratios, pictures: Sequence[Picture], asked: str, notes: Sequence[str]
) -> bytes:
    """The page.

    Args:
        scores: By policy and variant.
        ratios: Return over the reference's, where there is one.
        pictures: In the page's order.
        asked: What was simulated, in a sentence.
        notes: What a reader must know.
    """
    labels = entry_labels(scores)
    return _PAGE.substitute(
        style=PAGE_STYLE,
        asked=escape(asked),
        notes="\n".join(f'<p class="note">note: {escape(note)}</p>' for note in notes),
        figures=number_lines(["", *labels.values()], figure_lines(scores, ratios)),
        pictures="\n".join(picture_section(picture) for picture in pictures),
        commands="\n".join(
            f"<details><summary>{escape(labels[key])}</summary>\n"
            f'<table class="numbers">{number_lines(COMMAND_HEAD, command_lines(score))}</table>'
            "</details>"
            for key, score in scores.items()
        ),
    ).encode()
