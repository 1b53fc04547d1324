"""Pictures of a session of collecting: the way inside the fence, coverage, doubt over time."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from rwmu_deploy.patrol.walking_area import Rectangle
from rwmu_train.pictures.data_pictures import Picture
from rwmu_train.pictures.style import (
    ACTUAL,
    COMMANDED,
    FELL,
    QUIET,
    REFERENCE,
    WIDTH_IN,
    picture_style,
    say_instead,
)
from rwmu_train.sessions.session_facts import SessionFacts


def session_pictures(facts: SessionFacts) -> tuple[Picture, ...]:
    """The pictures, in the page's order."""
    with picture_style():
        return (
            Picture(
                "Where it walked",
                "As odometry has it, from the origin. Grey is the edge and what is kept out; "
                "orange is the way home; red marks are places where the robot was damped.",
                _path_figure(facts),
            ),
            Picture(
                "Which commands it followed",
                "Minutes in every part of the command range: a field for each range of wz, "
                "vx upwards, vy to the left.",
                _coverage_figure(facts),
            ),
            Picture(
                "Over time",
                "Speed and its command, and the doubt of the world model on board over its "
                "threshold of caution. Grey: it stood or waited; red: damped.",
                _time_figure(facts),
            ),
        )


def _path_figure(facts: SessionFacts) -> Figure:
    area = facts.plan.area
    figure = Figure(figsize=(0.62 * WIDTH_IN, 0.5 * WIDTH_IN), layout="constrained")
    axis = figure.subplots()
    for rectangle in (area.boundary, *area.keep_out):
        kept_out = rectangle is not area.boundary
        axis.add_patch(
            Polygon(
                _corners(rectangle),
                facecolor="0.85" if kept_out else "none",
                edgecolor="0.35",
                lw=1.5,
            )
        )
    margin_m = facts.plan.fence.margin_m
    boundary = area.boundary
    if min(boundary.length_m, boundary.width_m) > 2.0 * margin_m:
        inner = Rectangle(
            boundary.length_m - 2.0 * margin_m,
            boundary.width_m - 2.0 * margin_m,
            boundary.centre_m,
            boundary.yaw_rad,
        )
        axis.add_patch(Polygon(_corners(inner), facecolor="none", edgecolor="0.6", ls=":", lw=0.8))
    x, y = facts.numbers["x_m"], facts.numbers["y_m"]
    home = np.array(facts.mode) == "home"
    for start in np.unique(facts.start):
        here = facts.start == start
        axis.plot(np.where(here, x, np.nan), np.where(here, y, np.nan), color=ACTUAL, lw=0.5)
    axis.plot(np.where(home, x, np.nan), np.where(home, y, np.nan), color=REFERENCE, lw=0.9)
    # Where it was last seen before it was damped: then its place isn't known any more.
    known = np.flatnonzero(np.isfinite(x))
    damped = np.flatnonzero(np.diff(facts.is_damped.astype(int)) == 1)
    last = known[np.searchsorted(known, damped, side="right") - 1] if len(known) else known
    axis.plot(x[last], y[last], "x", color=FELL, ms=5)
    axis.plot(0.0, 0.0, "+", color=COMMANDED, ms=9)
    axis.set_aspect("equal")
    axis.autoscale_view()
    axis.set_xlabel("x [m]")
    axis.set_ylabel("y [m]")
    axis.grid()
    return figure


def _corners(rectangle: Rectangle) -> np.ndarray:
    half = 0.5 * np.array([rectangle.length_m, rectangle.width_m])
    corners = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * half
    cos, sin = np.cos(rectangle.yaw_rad), np.sin(rectangle.yaw_rad)
    return corners @ np.array([[cos, sin], [-sin, cos]]) + np.array(rectangle.centre_m)


def _coverage_figure(facts: SessionFacts) -> Figure:
    minutes = np.asarray(facts.progress["followed_s"], dtype=np.float64) / 60.0
    lower, upper = facts.about["command_range"]
    fields = minutes.shape[2]
    figure = Figure(figsize=(WIDTH_IN, 2.8), layout="constrained")
    axes = figure.subplots(1, fields, squeeze=False, sharey=True)[0]
    edges = np.linspace(lower[2], upper[2], fields + 1)
    most = max(float(minutes.max(initial=0.0)), 1e-9)
    image = None
    for number, axis in enumerate(axes):
        image = axis.imshow(
            minutes[:, :, number],
            origin="lower",
            aspect="auto",
            cmap="viridis",
            vmin=0.0,
            vmax=most,
            extent=(lower[1], upper[1], lower[0], upper[0]),
        )
        axis.invert_xaxis()
        axis.set_title(f"wz {edges[number]:.2g} to {edges[number + 1]:.2g} rad/s")
        axis.set_xlabel("vy [m/s]")
    axes[0].set_ylabel("vx [m/s]")
    if image is not None:
        figure.colorbar(image, ax=list(axes), label="minutes")
    return figure


def _time_figure(facts: SessionFacts) -> Figure:
    of = facts.numbers
    minutes = of["t_s"] / 60.0
    figure = Figure(figsize=(WIDTH_IN, 4.6), layout="constrained")
    speed, doubt = figure.subplots(2, 1, sharex=True)
    _shade(speed, facts)
    _shade(doubt, facts)
    speed.plot(minutes, np.hypot(of["vx_mps"], of["vy_mps"]), color=ACTUAL, lw=0.5)
    asked = np.hypot(of["command_vx_mps"], of["command_vy_mps"])
    speed.plot(minutes, asked, color=COMMANDED, lw=0.6)
    speed.set_ylabel("speed [m/s]")
    speed.grid()
    known = of["doubt"][np.isfinite(of["doubt"])]
    if len(known):
        doubt.plot(minutes, of["doubt"], color=ACTUAL, lw=0.5)
        doubt.axhline(1.0, color="0.2", lw=0.7)
        doubt.set_ylim(0.0, max(2.0, float(np.quantile(known, 0.999)) * 1.1))
        doubt.set_ylabel("doubt over caution")
        doubt.grid()
        doubt.set_xlabel("time [min]")
    else:
        say_instead(doubt, "the bundle has no world model on board")
    return figure


def _shade(axis: Axes, facts: SessionFacts) -> None:
    """Grey where it didn't walk, red where it was damped."""
    minutes = facts.numbers["t_s"] / 60.0
    low, high = 0.0, 1.0
    for chosen, colour in (
        (~np.isin(facts.mode, ("walk", "home")), QUIET),
        (facts.is_damped, FELL),
    ):
        axis.fill_between(
            minutes,
            low,
            high,
            where=list(chosen),
            color=colour,
            alpha=0.25,
            lw=0.0,
            transform=axis.get_xaxis_transform(),
        )
