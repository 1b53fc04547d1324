"""Test that action column j belongs to joint j of the state.

Simulators keep several joint orders, and a recorder may take actions in one and states in
another; every number is then plausible. The controller's law gives it away: a joint's torque
follows its own action. An order that is wrong in all columns alike can't be seen here, only in the
sidecar.
"""

from __future__ import annotations

import numpy as np

from rwmu_train.transitions.dataset import TransitionDataset

_SAMPLE_ROWS = 20_000
_FEWEST_ROWS = 200
# The own action leaves the least torque unexplained, by far more than this even under a trot, in
# which diagonal legs move alike.
_MARGIN = 0.6
_LARGEST_REST = 0.5
_SMALLEST_REST = 1e-4
"""Rests below this are rounding."""
_TINY = 1e-12


def mispaired_joints(dataset: TransitionDataset) -> dict[str, str]:
    """Joints whose torque another joint's action explains clearly better than their own.

    Returns:
        Joint name -> name of the joint whose action column moves it; empty if all is well, or if
        torques and actions say too little.
    """
    delay_rows = dataset.delay_rows
    rows = dataset.rows_within(before=delay_rows, after=0)
    rows = rows[:: max(1, len(rows) // _SAMPLE_ROWS)]
    if len(rows) < _FEWEST_ROWS:
        return {}
    columns, names = dataset.columns, dataset.spec.joint_names
    sample = dataset.rows[rows].astype(np.float64)
    position = sample[:, columns.joint_position_offset_rad.slice]
    velocity = sample[:, columns.joint_velocity_radps.slice]
    torque = sample[:, columns.joint_torque_nm.slice]
    actions = dataset.actions[rows - delay_rows].astype(np.float64)
    found: dict[str, str] = {}
    keeps_own = np.zeros(len(names), dtype=bool)
    for joint, name in enumerate(names):
        known = np.column_stack([position[:, joint], velocity[:, joint], np.ones(len(rows))])
        causes = np.column_stack([torque[:, joint], actions])
        rest = causes - known @ np.linalg.lstsq(known, causes, rcond=None)[0]
        power = np.square(rest).sum(axis=0)
        explained = np.square(rest[:, 1:].T @ rest[:, 0]) / np.maximum(power[1:], _TINY)
        unexplained = (power[0] - explained) / max(
            float(np.square(torque[:, joint] - torque[:, joint].mean()).sum()), _TINY
        )
        best = int(np.argmin(unexplained))
        keeps_own[joint] = best == joint
        if (
            best != joint
            and unexplained[best] + _SMALLEST_REST
            <= _MARGIN * (unexplained[joint] + _SMALLEST_REST)
            and unexplained[best] <= _LARGEST_REST
        ):
            found[name] = names[best]
    # In another order no action has two joints: where it explains its own best, a drive is weak,
    # late or at its limit, and legs move alike.
    return {name: cause for name, cause in found.items() if not keeps_own[names.index(cause)]}
