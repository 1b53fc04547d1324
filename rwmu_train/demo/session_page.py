"""One page about a session: did the robot do what was asked, and did the loop keep its time?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd

from rwmu_deploy.contract.errors import RobotLinkError

matplotlib.use("Agg")
import matplotlib.pyplot as plt

UPRIGHT_TILT_DEG = 25.0
UPRIGHT_HEIGHT_SHARE = 0.7
"""A robot below this share of the height at which it stood before the first command is down,
however level it is."""


@dataclass(frozen=True)
class Walk:
    """What the simulated robot really did under the policy."""

    upright_at_end: bool
    """Tilt below 25 degrees, high enough and never fallen, up to the last command that was not
    damping."""
    standing_height_m: float
    """Base height under the first command."""
    lowest_height_m: float
    height_at_end_m: float
    linear_tracking: float
    """Mean of exp(-|v_xy - command|^2 / 0.25)."""
    yaw_tracking: float
    distance_m: float


def read_walk(truth_file: Path) -> tuple[Walk, pd.DataFrame]:
    """Judge the rows between the first command and the final damping.

    Raises:
        RobotLinkError: There are none.
    """
    truth = pd.read_csv(truth_file)
    driven = truth.loc[(truth.commands_received > 0) & (truth.damping == 0)]
    assert isinstance(driven, pd.DataFrame), "a mask keeps the columns"
    if len(driven) == 0:
        raise RobotLinkError(
            f"the simulated robot was not commanded in any of the {len(truth)} rows of "
            f"{truth_file}",
            fix="Read what the policy node said in the session's folder.",
        )
    velocity, command = (_columns(driven, prefix) for prefix in ("", "command_"))
    error = np.square(velocity - command).sum(1)
    yaw_error = np.square(driven.wz_radps - driven.command_wz_radps)
    steps = np.hypot(driven.base_x_m.diff(), driven.base_y_m.diff())
    height_m = driven.base_height_m.to_numpy(dtype=float)
    level = driven.upright.iloc[-1] > np.cos(np.radians(UPRIGHT_TILT_DEG))
    high = height_m[-1] >= UPRIGHT_HEIGHT_SHARE * height_m[0]
    walk = Walk(
        upright_at_end=bool(level and high and not driven.fell.any()),
        standing_height_m=float(height_m[0]),
        lowest_height_m=float(height_m.min()),
        height_at_end_m=float(height_m[-1]),
        linear_tracking=float(np.exp(-error / 0.25).mean()),
        yaw_tracking=float(np.exp(-yaw_error / 0.25).mean()),
        distance_m=float(steps.sum()),
    )
    return walk, driven


def draw_session(driven: pd.DataFrame, summary: dict[str, Any], title: str, out: Path) -> None:
    """Draw commanded and actual velocity, base height and tick jitter."""
    figure, axes = plt.subplots(5, 1, figsize=(9, 12), constrained_layout=True)
    time_s = driven.time_s - driven.time_s.iloc[0]
    for axis, name, unit in zip(
        axes[:3], ("vx", "vy", "wz"), ("mps", "mps", "radps"), strict=True
    ):
        axis.plot(time_s, driven[f"{name}_{unit}"], color="tab:blue", lw=1.0, label="actual")
        axis.plot(
            time_s, driven[f"command_{name}_{unit}"], color="black", lw=1.5, label="commanded"
        )
        axis.set_ylabel(f"{name} [{'m/s' if unit == 'mps' else 'rad/s'}]")
        axis.grid(alpha=0.3)
    axes[0].legend(loc="upper right")
    axes[3].plot(time_s, driven.base_height_m, color="tab:green", lw=1.0)
    axes[3].set_ylabel("base height [m]")
    axes[3].set_xlabel("time since the first command [s]")
    axes[3].set_ylim(0.0, 0.7)
    axes[3].grid(alpha=0.3)
    errors_ms = np.array(summary["period_error_percentiles_ms"])
    axes[4].semilogy(
        np.linspace(0.0, 100.0, len(errors_ms)), np.maximum(errors_ms, 1e-3), color="tab:red"
    )
    axes[4].set_xlabel("percentile of ticks")
    axes[4].set_ylabel("|period - 20 ms| [ms]")
    axes[4].grid(alpha=0.3, which="both")
    figure.suptitle(title)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    plt.close(figure)


def _columns(driven: pd.DataFrame, prefix: str) -> np.ndarray:
    return np.stack([driven[f"{prefix}{name}_mps"].to_numpy() for name in ("vx", "vy")], axis=1)
