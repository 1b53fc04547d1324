"""Colours and type that all pictures share; those of the demo's page."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import matplotlib
from matplotlib.axes import Axes

from rwmu_deploy.contract.transition_columns import ColumnBlock

WIDTH_IN = 12.0
ACTUAL = "tab:blue"
COMMANDED = "black"
FELL = "tab:red"
REFERENCE = "tab:orange"
QUIET = "0.45"
ENDS = {"truncated": ACTUAL, "terminated": FELL, "gap": "0.7"}
MARKS = {"truncated": "0.45", "terminated": FELL, "gap": "0.45"}
END_WORDS = {"truncated": "cut off", "terminated": "fell", "gap": "gap in the log"}

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    # The first one is matplotlib's own; Verdana is as wide, where a browser lacks it.
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 8.5,
    "axes.labelcolor": "0.25",
    "axes.edgecolor": "0.6",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "xtick.color": "0.35",
    "ytick.color": "0.35",
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "path.simplify_threshold": 0.3,
    "svg.fonttype": "none",
}
_UNITS = {"mps", "radps", "rad", "nm"}


def picture_style() -> AbstractContextManager[None]:
    """Draw and save pictures inside of this; nothing is changed for others."""
    return matplotlib.rc_context(_STYLE)


def block_words(block: ColumnBlock) -> str:
    """A block's name without its unit: "joint velocity"."""
    return " ".join(word for word in block.name.split("_") if word not in _UNITS)


def axis_title(block: ColumnBlock) -> str:
    """With the unit: "joint velocity [rad/s]"."""
    return block_words(block) + ("" if block.unit == "1" else f" [{block.unit}]")


def say_instead(axis: Axes, text: str) -> None:
    """A quiet sentence in place of a drawing that the data don't allow."""
    axis.set_axis_off()
    axis.text(0.5, 0.5, text, ha="center", va="center", color=QUIET, transform=axis.transAxes)
