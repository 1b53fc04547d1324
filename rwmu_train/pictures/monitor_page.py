"""A monitor on one self-contained HTML page: figures and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import Template

from rwmu_train.evaluation.monitor.monitor_judgement import MonitorJudgement
from rwmu_train.evaluation.monitor.monitor_table import (
    ACTING_HEAD,
    DETECTION_HEAD,
    acting_lines,
    detection_lines,
    ranking_table,
    undisturbed_words,
)
from rwmu_train.pictures.data_pictures import Picture
from rwmu_train.pictures.page_parts import PAGE_STYLE, number_lines, picture_section

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>How well the monitor sees</title>
<style>
$style
</style>
</head>
<body>
<h1>How well the monitor sees</h1>
<p class="quiet">$asked</p>
<p>$undisturbed</p>
<h2>When something happens</h2>
<table class="numbers">$detections</table>
<h2>Windows of 5 s: AUROC (disturbed windows seen at 1 % false)</h2>
<table class="numbers">$rankings</table>
$acting
$pictures
</body>
</html>
""")


def monitor_page(judgement: MonitorJudgement, pictures: Sequence[Picture], asked: str) -> bytes:
    """The page.

    Args:
        judgement: All figures.
        pictures: In the page's order.
        asked: What was simulated, in a sentence.
    """
    acting = ""
    if judgement.acting:
        lines = number_lines(ACTING_HEAD, acting_lines(judgement))
        acting = f'<h2>Falls within 15 s</h2>\n<table class="numbers">{lines}</table>'
    return _PAGE.substitute(
        style=PAGE_STYLE,
        asked=escape(asked),
        undisturbed=escape(undisturbed_words(judgement.undisturbed)),
        detections=number_lines(DETECTION_HEAD, detection_lines(judgement)),
        rankings=number_lines(*ranking_table(judgement)),
        acting=acting,
        pictures="\n".join(picture_section(picture) for picture in pictures),
    ).encode()
