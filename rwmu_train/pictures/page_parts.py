"""What self-contained HTML pages are made of: their style, pictures inside, tables."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape

from matplotlib.figure import Figure

from rwmu_train.pictures.data_pictures import Picture
from rwmu_train.pictures.style import picture_style

_RASTER_DPI = 150
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
PAGE_STYLE = """body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1150px;
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
.problem { color: #c0392b; } .note { color: #8a6d1a; } summary { cursor: pointer; }"""


def picture_section(picture: Picture) -> str:
    """A heading, a caption and the drawing."""
    return (
        f"<h2>{escape(picture.title)}</h2>\n<figure>"
        f"<figcaption>{escape(picture.caption)}</figcaption>\n{_svg(picture.figure)}</figure>"
    )


def number_lines(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """The inside of a table: a heading and its lines."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    inside = ("".join(f"<td>{escape(value)}</td>" for value in line) for line in lines)
    return f"<tr>{top}</tr>\n" + "\n".join(f"<tr>{line}</tr>" for line in inside)


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
