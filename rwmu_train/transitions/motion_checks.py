"""Hold measured quantities against one another: rates, directions and units that must agree.

A claim is made only where the data leave no doubt; noise and rest say nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.findings import Findings, listed

FloatArray = NDArray[np.float64]

_SAMPLE_ROWS = 20_000
_FEWEST_ROWS = 200
_LARGEST_REST = 0.5
"""Share of its variance up to which one quantity explains another."""
_CLEARLY_BETTER = 0.6
"""Another joint explains a joint if it leaves less than this share of what its own leaves."""
_SMALLEST_REST = 1e-4
_SLOPES = (0.5, 2.0)
_STUCK_ROWS = 25
"""Half a second, over which no living sensor of a moving robot gives the same bits."""
_MOVING_RADPS = 0.05
_SATURATED = 0.99
_TINY = 1e-12


def check_gravity_rate(dataset: TransitionDataset) -> Findings:
    """Gravity turns in the base frame as the base turns: dg/dt = -w x g."""
    before, after = _neighbours(dataset)
    if len(before) < _FEWEST_ROWS:
        return Findings()
    middle = (before + after) / 2.0
    gravity = dataset.columns.projected_gravity.slice
    turning = dataset.columns.base_angular_velocity_radps.slice
    measured = (after - before)[:, gravity] / dataset.spec.control_dt_s
    expected = -np.cross(middle[:, turning], middle[:, gravity])
    slopes, rests = _fits(measured, expected)
    return Findings(
        tuple(
            f"projected_gravity[{'xyz'[axis]}] changes {slopes[axis, axis]:+.3g} times as fast as "
            f"base_angular_velocity says: {_reason(slopes[axis, axis])}"
            for axis in (0, 1)
            if rests[axis, axis] < _LARGEST_REST
            and not _SLOPES[0] <= slopes[axis, axis] <= _SLOPES[1]
        )
    )


def check_joint_rates(dataset: TransitionDataset) -> Findings:
    """Each joint's position changes as its own velocity says."""
    before, after = _neighbours(dataset)
    if len(before) < _FEWEST_ROWS:
        return Findings()
    names = dataset.spec.joint_names
    position = dataset.columns.joint_position_offset_rad.slice
    velocity = dataset.columns.joint_velocity_radps.slice
    rate = (after - before)[:, position] / dataset.spec.control_dt_s
    slopes, rests = _fits(rate, (before + after)[:, velocity] / 2.0)
    exchanged: list[str] = []
    problems: list[str] = []
    for joint, name in enumerate(names):
        best = int(np.argmin(rests[joint]))
        own, slope = rests[joint, joint], slopes[joint, joint]
        is_better = rests[joint, best] + _SMALLEST_REST <= _CLEARLY_BETTER * (own + _SMALLEST_REST)
        if best != joint and is_better and rests[joint, best] < _LARGEST_REST:
            exchanged.append(f"{name} by velocity[{names[best]}]")
        elif own < _LARGEST_REST and not _SLOPES[0] <= slope <= _SLOPES[1]:
            problems.append(
                f"joint {name}: position changes {slope:+.3g} times as fast as its velocity says: "
                f"{_reason(slope)}"
            )
    if exchanged:
        problems.append(
            "joint positions and joint velocities are in different orders: position changes are "
            f"explained for {listed(exchanged, 12)}; write both in the order of robot.yaml"
        )
    return Findings(tuple(problems))


def check_stuck_sensors(dataset: TransitionDataset) -> Findings:
    """No channel keeps its bits while the robot moves."""
    columns, spec = dataset.columns, dataset.spec
    speed = np.abs(dataset.rows[:, columns.joint_velocity_radps.slice]).mean(axis=1)
    torque = columns.joint_torque_nm
    stuck: list[str] = []
    for column in range(columns.state_size):
        values = dataset.rows[:, column]
        same = values[1:] == values[:-1]
        # A run ends with its episode, where the robot rests, and where a drive is at its limit.
        same &= speed[1:] > _MOVING_RADPS
        if torque.start <= column < torque.start + torque.size:
            limit = _SATURATED * spec.effort_limit_nm[column - torque.start]
            same &= np.abs(values[1:]) < limit
        same[dataset.episode_start[1:] - 1] = False
        rows = _longest_run(same)
        if _STUCK_ROWS <= rows < len(values) - len(dataset.episode_start):
            stuck.append(f"{columns.label(column)} for {(rows + 1) * spec.control_dt_s:.2f} s")
    if not stuck:
        return Findings()
    return Findings(
        (
            f"sensors stand still bit for bit while the robot moves: {listed(stuck)}; mend the "
            "sensor, and leave these rows out as a gap",
        )
    )


def _longest_run(flags: NDArray[np.bool_]) -> int:
    ends = np.flatnonzero(~flags)
    bounds = np.concatenate([[-1], ends, [len(flags)]])
    return int(np.diff(bounds).max()) - 1


def _neighbours(dataset: TransitionDataset) -> tuple[FloatArray, FloatArray]:
    """Rows and their next ones in the same episode, evenly thinned; shapes (n, C)."""
    rows = dataset.rows_within(before=0, after=1)
    rows = rows[:: max(1, len(rows) // _SAMPLE_ROWS)]
    return dataset.rows[rows].astype(np.float64), dataset.rows[rows + 1].astype(np.float64)


def _fits(effects: FloatArray, causes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Straight line of every effect over every cause.

    Args:
        effects: Shape (n, E).
        causes: Shape (n, K).

    Returns:
        Slopes, and shares of the effect's variance left over (1 where either rests); (E, K) each.
    """
    effects = effects - effects.mean(axis=0)
    causes = causes - causes.mean(axis=0)
    power = np.maximum(np.square(causes).sum(axis=0), _TINY)
    wanted = np.maximum(np.square(effects).sum(axis=0), _TINY)
    product = effects.T @ causes
    return product / power, 1.0 - np.square(product) / (wanted[:, None] * power)


def _reason(slope: float) -> str:
    if slope < 0.0:
        return "one of the two has the wrong sign"
    return "one of the two has another unit (degrees?) or another time step"
