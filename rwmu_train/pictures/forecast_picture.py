"""Picture: one window's truth and forecast, with the standard deviation that goes with it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.evaluation.world_model.judgement import Judgement
from rwmu_train.evaluation.world_model.prediction_error import l1_error
from rwmu_train.evaluation.world_model.rollout import Followed
from rwmu_train.pictures.style import ACTUAL, COMMANDED, QUIET, axis_title

_ROWS, _COLUMNS = 2, 3


def shown_channels(columns: TransitionColumns) -> tuple[int, ...]:
    """Forward velocity, yaw rate, pitch; position, velocity and torque of one joint."""
    joint = columns.joint_position_offset_rad.size // 3
    velocity, rate = columns.base_linear_velocity_mps, columns.base_angular_velocity_radps
    return (
        velocity.start + velocity.labels.index("x"),
        rate.start + rate.labels.index("z"),
        columns.projected_gravity.start + columns.projected_gravity.labels.index("x"),
        columns.joint_position_offset_rad.start + joint,
        columns.joint_velocity_radps.start + joint,
        columns.joint_torque_nm.start + joint,
    )


def typical_window(judgement: Judgement, followed: Followed) -> int:
    """The window of median error among those that calibration was not fitted to."""
    prediction = judgement.followed[followed].rollout.prediction[:, judgement.reported]
    error = l1_error(prediction, judgement.windows.target[:, judgement.reported]).mean(axis=0)
    order = np.argsort(error)
    return judgement.fitted_windows + int(order[len(order) // 2])


def draw_forecast(figure: SubFigure, judgement: Judgement, followed: Followed) -> None:
    """Six channels of a typical window."""
    columns = judgement.episodes.judged.columns
    window = typical_window(judgement, followed)
    axes = figure.subplots(_ROWS, _COLUMNS, sharex=True)
    for axis, channel in zip(axes.ravel(), shown_channels(columns), strict=True):
        _draw_channel(axis, judgement, followed, window, channel)
        block = next(b for b in columns.blocks if b.slice.start <= channel < b.slice.stop)
        axis.set_title(f"{axis_title(block)}: {block.labels[channel - block.start]}")
    for axis in axes[-1]:
        axis.set_xlabel("time since the forecast began [s]")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=5)


def _draw_channel(
    axis: Axes, judgement: Judgement, followed: Followed, window: int, channel: int
) -> None:
    score, windows = judgement.followed[followed], judgement.windows
    normaliser = judgement.facts.normaliser
    scale, shift = float(normaliser.std[channel]), float(normaliser.mean[channel])
    dt_s = judgement.facts.spec.control_dt_s
    seen = windows.batch.state[:, window, channel].numpy() * scale + shift
    ahead_s = dt_s * np.arange(1, windows.horizon + 1)
    forecast = score.rollout.prediction[:, window, channel] * scale + shift
    bare = score.rollout.disagreement[:, window]
    sigma = score.calibration.sigma(bare)[:, channel] * scale
    bare = bare[:, channel] * scale
    axis.axvspan(dt_s * (1 - windows.history), 0.0, color="0.94", lw=0, label="history")
    for width, alpha, name in (
        (2 * sigma, 0.18, r"$\pm 2\sigma$ calibrated"),
        (2 * bare, 0.45, r"$\pm 2\sigma$ of the members' disagreement"),
    ):
        axis.fill_between(
            ahead_s,
            forecast - width,
            forecast + width,
            color=ACTUAL,
            alpha=alpha,
            lw=0,
            label=name,
        )
    axis.plot(dt_s * np.arange(1 - windows.history, windows.horizon + 1), seen, color=COMMANDED,
              lw=0.9, label="truth")  # fmt: skip
    axis.plot(ahead_s, forecast, color=ACTUAL, lw=1.1, label="forecast")
    axis.set_xlim(dt_s * (1 - windows.history), ahead_s[-1])
    axis.set_ylim(*_limits(np.concatenate([seen, forecast])))
    axis.axvline(0.0, color=QUIET, lw=0.6)
    axis.grid()


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Room for truth and forecast; bands may leave it."""
    low, high = float(values.min()), float(values.max())
    room = 0.35 * max(high - low, 1e-3)
    return low - room, high + room
