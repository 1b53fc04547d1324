"""A data set on one self-contained HTML page: pictures inside, nothing fetched."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import Template

from rwmu_train.pictures.data_pictures import Picture
from rwmu_train.pictures.page_parts import PAGE_STYLE, number_lines, picture_section
from rwmu_train.transitions.verdict import Verdict
from rwmu_train.transitions.verdict_table import summary_lines

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
$style
</style>
</head>
<body>
<h1>$title <span class="badge $badge">$verdict</span></h1>
<p class="quiet">$places</p>
$findings
<table>$summary</table>
$pictures
<h2>Columns</h2>
<details><summary>Mean, spread and quantiles of every column</summary>
<table class="numbers">$columns</table></details>
</body>
</html>
""")


def html_page(
    verdict: Verdict,
    pictures: Sequence[Picture],
    columns: Sequence[dict[str, float | str]],
    places: str,
) -> bytes:
    """The page.

    Args:
        verdict: Of the data set.
        pictures: In the page's order.
        columns: Statistics as `channel_rows` gives them, one row or more.
        places: Where the data came from.
    """
    return _PAGE.substitute(
        style=PAGE_STYLE,
        title=escape(f"Transitions of {verdict.robot}"),
        badge="good" if verdict.ok else "bad",
        verdict="usable" if verdict.ok else "NOT usable",
        places=escape(places),
        findings="\n".join(
            f'<p class="{kind}">{kind}: {escape(text)}</p>'
            for kind, texts in (("problem", verdict.problems), ("note", verdict.notes))
            for text in texts
        ),
        summary="\n".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value in summary_lines(verdict)
        ),
        pictures="\n".join(picture_section(picture) for picture in pictures),
        columns=_number_table(columns),
    ).encode()


def _number_table(columns: Sequence[dict[str, float | str]]) -> str:
    return number_lines(
        list(columns[0]),
        [
            [v if isinstance(v, str) else format(v, ".4g") for v in column.values()]
            for column in columns
        ],
    )
