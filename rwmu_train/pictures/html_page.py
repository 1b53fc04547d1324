"""A data set on one self-contained HTML page: pictures inside, nothing fetched."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape
from string import Template

from matplotlib.figure import Figure

from rwmu_train.pictures.data_pictures import Picture
from rwmu_train.pictures.style import picture_style
from rwmu_train.transitions.verdict import Verdict
from rwmu_train.transitions.verdict_table import summary_lines

_RASTER_DPI = 150
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1150px;
       margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
table { border-collapse: collapse; font-size: 0.9rem; }
td, th { padding: 0.15rem 1.2rem 0.15rem 0; text-align: left; vertical-align: top; }
table.numbers td + td, table.numbers th + th { text-align: right;
       font-variant-numeric: tabular-nums; }
figure { margin: 0; } figure svg { width: 100%; height: auto; display: block; }
figcaption, .quiet { color: #666; font-size: 0.9rem; margin-bottom: 0.6rem; }
.badge { color: white; border-radius: 4px; padding: 0.1rem 0.6rem; font-size: 1rem; }
.good { background: #2a7d4f; } .bad { background: #c0392b; }
.problem { color: #c0392b; } .note { color: #8a6d1a; } summary { cursor: pointer; }
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
        pictures="\n".join(_figure(picture) for picture in pictures),
        columns=_number_table(columns),
    ).encode()


def _figure(picture: Picture) -> str:
    return (
        f"<h2>{escape(picture.title)}</h2>\n<figure>"
        f"<figcaption>{escape(picture.caption)}</figcaption>\n{_svg(picture.figure)}</figure>"
    )


def _svg(figure: Figure) -> str:
    """An `svg` element with ids of its own; coordinates to a hundredth of a point."""
    content = io.StringIO()
    with picture_style():
        figure.savefig(content, format="svg", dpi=_RASTER_DPI, metadata=_NO_METADATA)
    svg = content.getvalue()
    return re.sub(
        r' d="[^"]*"',
        lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]),
        svg[svg.index("<svg") :],
    )


def _number_table(columns: Sequence[dict[str, float | str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in columns[0])
    lines = (
        "".join(
            f"<td>{escape(value) if isinstance(value, str) else format(value, '.4g')}</td>"
            for value in column.values()
        )
        for column in columns
    )
    return f"<tr>{head}</tr>\n" + "\n".join(f"<tr>{line}</tr>" for line in lines)
