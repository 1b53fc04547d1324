"""Test that row t holds the action that produced state t, and not its neighbour.

A file that is off by one row trains without complaint and gives a policy for a robot that reacts
20 ms too early or too late; so does one in which a single joint's action is. Two linear models,
fitted for each joint with the action of row t - 1, t and t + 1, tell which row's action was at
work:

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

from rwmu_train.transitions.dataset import TransitionDataset

FloatArray = NDArray[np.float64]
SHIFTS = (-1, 0, 1)

_SAMPLE_ROWS = 20_000
_FEWEST_ROWS = 200
# Largest share of the second best row's rest that the best row may leave. A simulated quadruped
# under ten open- and closed-loop policies, torque noise up to 5 N m, friction and a delay of half
# a row: no wrong row came below 0.7 by torque, or below 0.65 by joint response.
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
    shifted_joints: dict[str, int]
    """Joints whose own best shift is another one, by name."""


def align_actions(dataset: TransitionDataset) -> TimeAlignment:
    """Compare the actions of neighbouring rows as causes of each row's state.

    Where the drives are known to act late, the action that is then expected counts as shift 0.
    """
    delay_rows = dataset.delay_rows
    rows = dataset.rows_within(before=2 + delay_rows, after=1)
    rows = rows[:: max(1, len(rows) // _SAMPLE_ROWS)]
    if len(rows) < _FEWEST_ROWS:
        return TimeAlignment("undecided", None, "none", {}, None, {})
    columns = dataset.columns
    position = columns.joint_position_offset_rad.slice
    velocity = columns.joint_velocity_radps.slice
    now, before = dataset.rows[rows].astype(np.float64), dataset.rows[rows - 1].astype(np.float64)
    torque = now[:, columns.joint_torque_nm.slice]
    change = now[:, position] - before[:, position]
    rest: dict[str, list[FloatArray]] = {"torque": [], "joint response": []}
    gain = np.zeros(dataset.spec.joint_count)
    for shift in SHIFTS:
        action = dataset.actions[rows + shift - delay_rows].astype(np.float64)
        share, slope = _unexplained(torque, action, now[:, position], now[:, velocity])
        rest["torque"].append(share)
        if shift == 0:
            gain = slope
        share, _ = _unexplained(change, action, before[:, position], before[:, velocity])
        rest["joint response"].append(share)
    by_joint = {name: np.array(shares) for name, shares in rest.items()}
    overall = {name: _mean_of_known(shares) for name, shares in by_joint.items()}
    unexplained = {
        name: {f"{shift:+d}": round(float(overall[name][i]), 6) for i, shift in enumerate(SHIFTS)}
        for name in overall
    }
    for name, margin in _MARGINS:
        best = _clear_best(overall[name], margin)
        if best is None:
            continue
        own = {
            joint: shift
            for joint, shares in zip(dataset.spec.joint_names, by_joint[name].T, strict=True)
            if (shift := _clear_best(shares, margin)) is not None and shift != best
        }
        nominal = dataset.spec.kp_nm_per_rad * dataset.spec.action_scale
        ratio = float(np.median(gain / nominal)) if name == "torque" and best == 0 else None
        status = "aligned" if best == 0 else "misaligned"
        return TimeAlignment(status, best, name, unexplained, ratio, own)
    return TimeAlignment("undecided", None, "none", unexplained, None, {})


def _mean_of_known(shares: FloatArray) -> FloatArray:
    """Mean over the joints that vary, shape (shifts,); 1 if none do."""
    known = np.isfinite(shares).all(axis=0)
    return shares[:, known].mean(axis=1) if known.any() else np.ones(len(shares))


def _clear_best(shares: FloatArray, margin: float) -> int | None:
    """The shift that leaves clearly least unexplained, shape (shifts,); None if none does."""
    if not np.isfinite(shares).all():
        return None
    order = np.argsort(shares)
    smallest, next_one = (float(shares[i]) for i in order[:2])
    if smallest > _LARGEST_REST:
        return None
    if not smallest + _SMALLEST_REST <= margin * (next_one + _SMALLEST_REST):
        return None
    return SHIFTS[int(order[0])]


def _unexplained(
    outcome: FloatArray, action: FloatArray, position: FloatArray, velocity: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Least squares for each joint.

    Returns:
        Share of variance left, NaN for a joint whose outcome or action does not vary; and the
        slope of the outcome over the action. Shape (J,) each.
    """
    shares = np.full(outcome.shape[1], np.nan)
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
        shares[joint] = float(np.mean(np.square(wanted - causes @ solution))) / variance
    return shares, slopes
