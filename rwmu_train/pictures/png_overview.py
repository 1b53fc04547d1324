"""A data set as one tall picture."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.typing import NDArray

from rwmu_train.pictures.data_pictures import Picture
from rwmu_train.pictures.style import FELL, QUIET, WIDTH_IN, picture_style
from rwmu_train.transitions.verdict import Verdict
from rwmu_train.transitions.verdict_table import summary_lines

_DPI = 120
_MARGIN_IN = 0.1
_LINE_IN = 0.18
_LETTERS_A_LINE = 185
_GOOD = "tab:green"

TextLine = tuple[str, str, float, str]
"""Text, colour, size in points, weight."""


def png_overview(verdict: Verdict, pictures: Sequence[Picture], places: str) -> bytes:
    """Verdict and pictures, one below the other, as a PNG file's bytes."""
    with picture_style():
        parts = [_pixels(_text_figure(_verdict_lines(verdict, places)))]
        for picture in pictures:
            caption = [(line, QUIET, 8.5, "normal") for line in _wrapped(picture.caption)]
            title = (picture.title, "black", 11.0, "bold")
            parts += [_pixels(_text_figure([title, *caption])), _pixels(picture.figure)]
    content = io.BytesIO()
    imsave(content, np.concatenate(parts), format="png", dpi=_DPI)
    return content.getvalue()


def _verdict_lines(verdict: Verdict, places: str) -> list[TextLine]:
    said, colour = ("usable", _GOOD) if verdict.ok else ("NOT usable", FELL)
    lines: list[TextLine] = [
        (f"Transitions of {verdict.robot}: {said}", colour, 14.0, "bold"),
        *((line, QUIET, 8.5, "normal") for line in _wrapped(places)),
    ]
    for kind, texts, shade in (
        ("problem", verdict.problems, FELL),
        ("note", verdict.notes, "saddlebrown"),
    ):
        lines += [
            (line, shade, 8.5, "normal") for text in texts for line in _wrapped(f"{kind}: {text}")
        ]
    summary = "; ".join(f"{name}: {value}" for name, value in summary_lines(verdict))
    return [*lines, *((line, "0.2", 8.5, "normal") for line in _wrapped(summary))]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _LETTERS_A_LINE)


def _text_figure(lines: Sequence[TextLine]) -> Figure:
    heights_in = [_LINE_IN * max(1.0, size / 9.0) for _, _, size, _ in lines]
    height_in = sum(heights_in) + 2 * _MARGIN_IN
    figure = Figure(figsize=(WIDTH_IN, height_in))
    below_in = height_in - _MARGIN_IN
    for (text, colour, size, weight), line_in in zip(lines, heights_in, strict=True):
        figure.text(
            _MARGIN_IN / WIDTH_IN,
            below_in / height_in,
            text,
            color=colour,
            size=size,
            weight=weight,
            va="top",
            parse_math=False,
        )
        below_in -= line_in
    return figure


def _pixels(figure: Figure) -> NDArray[np.uint8]:
    figure.set_dpi(_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())
