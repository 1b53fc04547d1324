"""Picture: the commands that the data show, and how the robot answered them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from rwmu_train.pictures.command_response import CommandedRows, response
from rwmu_train.pictures.style import ACTUAL, COMMANDED, WIDTH_IN, say_instead

FloatArray = NDArray[np.floating]

AXES = ("vx [m/s]", "vy [m/s]", "wz [rad/s]")
_VX, _VY, _WZ = 0, 1, 2
_CELLS = 41
_TAIL = 0.005
_PIXELS_PER_IN = 150


def draw_commands(rows: CommandedRows) -> Figure:
    """Maps of commanded and achieved velocities, and achieved over commanded."""
    if not rows.known.any():
        figure = Figure(figsize=(WIDTH_IN, 3.1), layout="constrained")
        _draw_maps(figure.subplots(1, 4), rows)
        return figure
    figure = Figure(figsize=(WIDTH_IN, 6.2), layout="constrained")
    above, below = figure.subfigures(2, 1, squeeze=False, hspace=0.06).ravel()
    _draw_maps(above.subplots(1, 4), rows)
    for index, axis in enumerate(below.subplots(1, 3)):
        _draw_response(axis, rows, index)
    return figure


def _draw_maps(axes: NDArray[np.object_], rows: CommandedRows) -> None:
    edges = [_edges(rows, axis) for axis in (_VX, _VY, _WZ)]
    pairs = [(_VX, _VY), (_VX, _WZ)]
    drawn = [
        (
            "commanded" if values is rows.command else "achieved",
            x,
            y,
            np.histogram2d(values[:, x], values[:, y], (edges[x], edges[y]))[0],
        )
        for x, y in pairs
        for values in (rows.command, rows.achieved)
    ]
    scale = LogNorm(1, max(2.0, *(counts.max() for *_, counts in drawn)))
    mesh = None
    for axis, (what, x, y, counts) in zip(axes, drawn, strict=True):
        if not counts.any():
            say_instead(axis, "velocity commands\nare not known")
            continue
        mesh = axis.pcolormesh(
            edges[x],
            edges[y],
            np.ma.masked_equal(counts.T, 0),
            norm=scale,
            cmap="Blues",
            rasterized=True,
        )
        axis.set_title(what)
        axis.set_xlabel(AXES[x])
        axis.set_ylabel(AXES[y])
        axis.grid()
    assert mesh is not None, "base velocities are always known"
    bar = axes[0].figure.colorbar(mesh, ax=list(axes), aspect=30, pad=0.01)
    bar.set_label("rows in a cell")
    bar.outline.set_visible(False)


def _draw_response(axis: Axes, rows: CommandedRows, index: int) -> None:
    found = response(rows, index)
    name = AXES[index]
    axis.axline((0.0, 0.0), slope=1.0, color=COMMANDED, lw=1.0, ls=(0, (4, 3)), label="asked for")
    axis.fill_between(
        found.command, found.low, found.high, color=ACTUAL, alpha=0.2, lw=0, label="10 to 90 %"
    )
    axis.plot(found.command, found.median, color=ACTUAL, lw=1.5, marker="o", ms=3, label="median")
    axis.set_xlabel(f"commanded {name}")
    axis.set_ylabel(f"achieved {name}")
    axis.grid()
    axis.xaxis.set_major_locator(MaxNLocator(5))
    axis.yaxis.set_major_locator(MaxNLocator(5))
    if index == 0:
        axis.legend(loc="upper left")


def _edges(rows: CommandedRows, axis: int) -> FloatArray:
    """Cells, symmetric about 0, of all commands and all but the wildest achieved velocities."""
    low, high = np.quantile(rows.achieved[:, axis], (_TAIL, 1.0 - _TAIL))
    largest = max(
        np.abs(rows.command[rows.known, axis]).max(initial=0.0), -float(low), float(high), 1e-3
    )
    return np.linspace(-1.02 * largest, 1.02 * largest, _CELLS + 1)
