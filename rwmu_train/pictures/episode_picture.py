"""Picture: the end of one episode, from the base's velocities to the joints' torques.

T = rows of the episode.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from rwmu_deploy.contract.action import target_from_action
from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.pictures.command_picture import AXES
from rwmu_train.pictures.command_response import planar_velocity
from rwmu_train.pictures.style import (
    ACTUAL,
    COMMANDED,
    END_WORDS,
    FELL,
    MARKS,
    QUIET,
    WIDTH_IN,
)
from rwmu_train.transitions.dataset import TransitionDataset

BASE_WINDOW_S = 20.0
JOINT_WINDOW_S = 4.0
_JOINTS_A_LINE = 4
_SECONDARY = ("tab:blue", "tab:green", "tab:purple")


def choose_episode(dataset: TransitionDataset, wanted: int | None) -> int:
    """The episode that was asked for, or the longest one.

    Raises:
        ConfigError: There is no episode of this number.
    """
    count = len(dataset.episode_start)
    if wanted is None:
        return int(np.argmax(dataset.episode_length))
    if not 0 <= wanted < count:
        raise ConfigError(
            f"--episode is {wanted}, and there are {count} episodes",
            fix=f"Give a number from 0 to {count - 1}.",
        )
    return wanted


def draw_episode(dataset: TransitionDataset, episode: int) -> Figure:
    """The last BASE_WINDOW_S of the base, the last JOINT_WINDOW_S of the joints."""
    lines = -(-dataset.spec.joint_count // _JOINTS_A_LINE)
    heights = (7.4, 0.3 + 1.15 * lines, 0.3 + 1.0 * lines)
    figure = Figure(figsize=(WIDTH_IN, sum(heights)), layout="constrained")
    base, positions, torques = figure.subfigures(
        3, 1, squeeze=False, height_ratios=heights, hspace=0.02
    ).ravel()
    _draw_base(base, dataset, episode)
    seen = _Window(dataset, episode, JOINT_WINDOW_S)
    _draw_joints(
        positions, seen, "joint position (blue) and its target (black) [rad]", _draw_position
    )
    _draw_joints(torques, seen, "joint torque [N m]", _draw_torque)
    return figure


class _Window:
    """The last seconds of an episode."""

    def __init__(self, dataset: TransitionDataset, episode: int, longest_s: float) -> None:
        self.spec, self.columns = dataset.spec, dataset.columns
        first, end = int(dataset.episode_start[episode]), int(dataset.episode_end[episode])
        dt_s = self.spec.control_dt_s
        begin = max(first, end - round(longest_s / dt_s))
        self.rows: NDArray[np.float32] = dataset.rows[begin:end]
        self.command = dataset.velocity_command[begin:end]
        self.time_s = (np.arange(begin, end) - first) * dt_s
        self.kind = dataset.episode_end_kind[episode]

    def mark(self, axis: Axes) -> None:
        """Limits of the time axis, and how the episode ended."""
        margin_s = max(0.012 * (self.time_s[-1] - self.time_s[0]), self.spec.control_dt_s)
        axis.set_xlim(self.time_s[0], self.time_s[-1] + margin_s)
        axis.axvline(self.time_s[-1], color=MARKS[self.kind], lw=1.6, alpha=0.8)
        axis.grid()


def _draw_base(figure: SubFigure, dataset: TransitionDataset, episode: int) -> None:
    seen = _Window(dataset, episode, BASE_WINDOW_S)
    axes = figure.subplots(7, 1, sharex=True, height_ratios=(1, 1, 1, 0.8, 0.8, 0.8, 1.1))
    columns, rows = seen.columns, seen.rows
    achieved = planar_velocity(columns, rows)
    for i, axis in enumerate(axes[:3]):
        axis.plot(seen.time_s, achieved[:, i], color=ACTUAL, lw=1.0, label="actual")
        axis.plot(
            seen.time_s,
            seen.command[:, i],
            color=COMMANDED,
            lw=1.3,
            drawstyle="steps-post",
            label="commanded",
        )
        axis.set_ylabel(AXES[i])
    linear, angular = columns.base_linear_velocity_mps, columns.base_angular_velocity_radps
    axes[3].plot(seen.time_s, rows[:, linear.slice][:, 2], color=ACTUAL, lw=1.0)
    axes[3].set_ylabel("vz [m/s]")
    _draw_lines(axes[4], seen.time_s, rows[:, angular.slice][:, :2], ("wx", "wy"))
    axes[4].set_ylabel("wx, wy\n[rad/s]")
    _draw_lines(axes[5], seen.time_s, rows[:, columns.projected_gravity.slice], ("x", "y", "z"))
    axes[5].set_ylabel("gravity")
    _draw_contacts(axes[6], seen)
    for axis in axes:
        seen.mark(axis)
    axes[6].set_xlabel("time since the episode began [s]")
    figure.align_ylabels(axes)
    axes[0].legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2)
    axes[0].set_title(END_WORDS[seen.kind], loc="right", color=MARKS[seen.kind])


def _draw_lines(
    axis: Axes, time_s: NDArray[np.floating], values: NDArray[np.float32], names: tuple[str, ...]
) -> None:
    for i, name in enumerate(names):
        axis.plot(time_s, values[:, i], color=_SECONDARY[i], lw=1.0, label=name)
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.0)


def _draw_contacts(axis: Axes, seen: _Window) -> None:
    block = seen.columns.contact
    dt_s = seen.spec.control_dt_s
    for line, name in enumerate(block.labels):
        on = np.concatenate([[0.0], seen.rows[:, block.start + line] > 0.5, [0.0]])
        begin, end = np.flatnonzero(np.diff(on) > 0), np.flatnonzero(np.diff(on) < 0)
        bars = [(seen.time_s[b], (e - b) * dt_s) for b, e in zip(begin, end, strict=True)]
        is_foot = name in seen.spec.foot_names
        axis.broken_barh(bars, (line - 0.35, 0.7), color=ACTUAL if is_foot else FELL)
    axis.set_yticks(range(len(block.labels)), block.labels)
    axis.set_ylim(len(block.labels) - 0.5, -0.5)
    axis.set_ylabel("contact")


def _draw_joints(
    figure: SubFigure, seen: _Window, title: str, draw: Callable[[Axes, _Window, int], None]
) -> None:
    names = seen.spec.joint_names
    lines = -(-len(names) // _JOINTS_A_LINE)
    axes = figure.subplots(lines, _JOINTS_A_LINE, sharex=True, squeeze=False)
    for joint, axis in enumerate(axes.ravel()):
        if joint >= len(names):
            axis.set_axis_off()
            continue
        draw(axis, seen, joint)
        axis.text(0.01, 1.01, names[joint], transform=axis.transAxes, color=QUIET, va="bottom")
        seen.mark(axis)
    for axis in axes[-1]:
        axis.set_xlabel("time [s]")
    figure.suptitle(title, x=0.008, ha="left", size=8.5, weight="bold")


def _draw_position(axis: Axes, seen: _Window, joint: int) -> None:
    columns, spec = seen.columns, seen.spec
    offset = seen.rows[:, columns.joint_position_offset_rad.slice]
    target = target_from_action(spec, seen.rows[:, columns.action.slice])
    axis.plot(seen.time_s, target[:, joint], color=COMMANDED, lw=0.8, drawstyle="steps-pre")
    position = offset[:, joint] + spec.default_position_rad[joint]
    axis.plot(seen.time_s, position, color=ACTUAL, lw=1.2)


def _draw_torque(axis: Axes, seen: _Window, joint: int) -> None:
    torque = seen.rows[:, seen.columns.joint_torque_nm.slice]
    axis.axhline(0.0, color="0.7", lw=0.6)
    axis.plot(seen.time_s, torque[:, joint], color="tab:green", lw=1.0)
