"""Test that row t holds the action that produced state t, and not its neighbour.

A file that is off by one row trains without complaint and gives a policy for a robot that reacts
20 ms too early or too late. Two linear models, fitted for each joint with the action of row t - 1,
t and t + 1, tell which row's action was at work:

- torque: joint torque of row t from its action, joint position and joint velocity. The
  controller's law, torque = kp (target - q) - kd dq, holds at one instant, so the true row stands
  out.
- joint response: change of joint position into row t from the action and the state before it.
  Weaker: a policy's next action depends on the state it sees, and so "explains" that state.

The torque decides if it can, else the joint response; where both leave doubt, so does the verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rwmu_train.transitions.dataset import TransitionDataset, indices_of_ranges

FloatArray = NDArray[np.float64]
SHIFTS = (-1, 0, 1)

_SAMPLE_ROWS = 20_000
_FEWEST_ROWS = 200
# Largest share of the second best row's rest that the best row may leave. Simulated ANYmal D under
# ten open- and closed-loop policies, torque noise up to 5 N m, friction and a delay of half a row:
# no wrong row came below 0.7 by torque, or below 0.65 by joint response.
_MARGINS: tuple[tuple[Literal["torque", "joint response"], float], ...] = (
    ("torque", 0.6),
    ("joint response", 0.5),
)
_LARGEST_REST = 0.5
# Rests below this are rounding, as where an action follows exactly from the state it led to.
_SMALLEST_REST = 1e-4


@dataclass(frozen=True)
class TimeAlignment:
    """Which row's action explains a row's state."""

    status: Literal["aligned", "misaligned", "undecided"]
    best_shift: int | None
    """Row t is explained by the action of row t + best_shift; None while undecided."""
    evidence: Literal["torque", "joint response", "none"]
    unexplained: dict[str, dict[str, float]]
    """Evidence -> shift -> share of the variance left unexplained, mean over joints."""
    torque_gain_ratio: float | None
    """Torque per unit of action, as a share of kp * action_scale; None unless torque decided."""


def align_actions(dataset: TransitionDataset) -> TimeAlignment:
    """Compare the actions of neighbouring rows as causes of each row's state."""
    rows = _sample(dataset)
    if len(rows) < _FEWEST_ROWS:
        return TimeAlignment("undecided", None, "none", {}, None)
    columns = dataset.columns
    position = columns.joint_position_offset_rad.slice
    velocity = columns.joint_velocity_radps.slice
    now, before = dataset.rows[rows].astype(np.float64), dataset.rows[rows - 1].astype(np.float64)
    torque = now[:, columns.joint_torque_nm.slice]
    change = now[:, position] - before[:, position]
    rest: dict[str, dict[int, float]] = {"torque": {}, "joint response": {}}
    gain = np.zeros(dataset.spec.joint_count)
    for shift in SHIFTS:
        action = dataset.actions[rows + shift].astype(np.float64)
        share, slope = _unexplained(torque, action, now[:, position], now[:, velocity])
        rest["torque"][shift] = share
        if shift == 0:
            gain = slope
        share, _ = _unexplained(change, action, before[:, position], before[:, velocity])
        rest["joint response"][shift] = share
    unexplained = {
        name: {f"{shift:+d}": round(share, 6) for shift, share in shares.items()}
        for name, shares in rest.items()
    }
    for name, margin in _MARGINS:
        best, second = sorted(rest[name], key=rest[name].__getitem__)[:2]
        smallest, next_one = rest[name][best], rest[name][second]
        is_clear = smallest + _SMALLEST_REST <= margin * (next_one + _SMALLEST_REST)
        if is_clear and smallest <= _LARGEST_REST:
            nominal = dataset.spec.kp_nm_per_rad * dataset.spec.action_scale
            ratio = float(np.median(gain / nominal)) if name == "torque" and best == 0 else None
            status = "aligned" if best == 0 else "misaligned"
            return TimeAlignment(status, best, name, unexplained, ratio)
    return TimeAlignment("undecided", None, "none", unexplained, None)


def _sample(dataset: TransitionDataset) -> NDArray[np.int64]:
    """Rows with both neighbours in their episode, evenly thinned.

    An episode's first row is nobody's neighbour: its action is that of a reset.
    """
    usable = np.maximum(dataset.episode_length - 3, 0)
    rows = indices_of_ranges(dataset.episode_start + 2, usable)
    return rows[:: max(1, len(rows) // _SAMPLE_ROWS)]


def _unexplained(
    outcome: FloatArray, action: FloatArray, position: FloatArray, velocity: FloatArray
) -> tuple[float, FloatArray]:
    """Least squares for each joint.

    Returns:
        Share of variance left, mean over the joints whose outcome and action vary (1 if none do);
        and the slope of each joint's outcome over its action, shape (J,).
    """
    shares: list[float] = []
    slopes = np.zeros(outcome.shape[1])
    for joint in range(outcome.shape[1]):
        causes = np.column_stack(
            [action[:, joint], position[:, joint], velocity[:, joint], np.ones(len(outcome))]
        )
        wanted = outcome[:, joint]
        variance = float(np.var(wanted))
        if not (variance > 1e-12 and np.var(action[:, joint]) > 1e-8):
            continue
        solution = np.linalg.lstsq(causes, wanted, rcond=None)[0]
        slopes[joint] = solution[0]
        shares.append(float(np.mean(np.square(wanted - causes @ solution))) / variance)
    return (float(np.mean(shares)) if shares else 1.0), slopes
