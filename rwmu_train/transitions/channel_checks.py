"""Look at the channels of a data set for what a wrong unit, order or sensor leaves behind.

Every check returns findings: problems, which make the data unusable, and notes, which do not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.action import action_bounds
from rwmu_deploy.contract.transition_columns import ColumnBlock
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.findings import Findings, listed

FloatArray = NDArray[np.floating]

TOLERATED_SHARE = 0.01
"""Share of rows in which a fall or a glitch may leave the physical range."""
GRAVITY_NORM_TOLERANCE = 0.1
OUTSIDE_SHARE = 0.05
"""Share of rows in which a joint of falling robots may be outside its range."""
FROZEN_SHARE = 0.01
"""Share of rows whose state may repeat the row before bit for bit."""
_DEFAULT_WORTH_COMPARING_RAD = 0.2
_FEWEST_ROWS_TO_MOVE = 50
"""A shorter file, such as the last of a log, may end before its robot moved."""


def check_gravity(dataset: TransitionDataset) -> Findings:
    """Gravity is a unit vector that points down in the base frame."""
    gravity = _values(dataset, dataset.columns.projected_gravity)
    norm = np.linalg.norm(gravity, axis=1)
    wrong = float(np.mean(~(np.abs(norm - 1.0) <= GRAVITY_NORM_TOLERANCE)))
    problems: list[str] = []
    if wrong > TOLERATED_SHARE:
        problems.append(
            f"projected_gravity is no unit vector in {wrong:.1%} of the rows (median norm "
            f"{np.median(norm):.3g}); write the direction of gravity in the base frame"
        )
    elif float(np.mean(gravity[:, 2])) > 0.0:
        problems.append(
            f"projected_gravity z is {np.mean(gravity[:, 2]):+.2f} on average; upright is -1: "
            "turn its sign, or check the order of the quaternion"
        )
    return Findings(tuple(problems))


def check_joint_positions(dataset: TransitionDataset) -> Findings:
    """Offsets from the default position are radians and lie inside the joint range."""
    spec, block = dataset.spec, dataset.columns.joint_position_offset_rad
    offset = _values(dataset, block)
    if _typical_maximum(offset) > np.pi:
        return Findings(
            (f"{block.name} reaches {np.abs(offset).max():.3g}: degrees? write radians",)
        )
    slack = spec.safety.joint_outside_damp_rad
    position = offset + spec.default_position_rad
    outside = np.mean(
        (position < spec.lower_rad - slack) | (position > spec.upper_rad + slack), axis=0
    )
    worst = int(np.argmax(outside))
    problems: list[str] = []
    notes: list[str] = []
    if outside[worst] > TOLERATED_SHARE:
        # Robots that fall and lie push joints out of their range; a wrong order or zero does more.
        listed_as = problems if outside[worst] > OUTSIDE_SHARE else notes
        listed_as.append(
            f"joint {spec.joint_names[worst]} is outside {spec.lower_rad[worst]:.2f} to "
            f"{spec.upper_rad[worst]:.2f} rad in {outside[worst]:.1%} of the rows; check joint "
            "order, sign and default position"
        )
    bent = np.abs(spec.default_position_rad) > _DEFAULT_WORTH_COMPARING_RAD
    if bent.any():
        mean, default = offset.mean(axis=0)[bent], spec.default_position_rad[bent]
        if (np.abs(mean - default) < 0.5 * np.abs(default)).all():
            problems.append(
                f"{block.name} lies around the default positions themselves; write joint position "
                "minus default position"
            )
    return Findings(tuple(problems), tuple(notes))


def check_rates(dataset: TransitionDataset) -> Findings:
    """Velocities and torques stay within what the robot can do."""
    spec, columns = dataset.spec, dataset.columns
    limits = (
        (columns.base_linear_velocity_mps, 10.0, "check the unit and the estimator"),
        (
            columns.base_angular_velocity_radps,
            2.0 * spec.safety.base_angular_velocity_damp_radps,
            "degrees per second? write rad/s",
        ),
        (
            columns.joint_velocity_radps,
            2.0 * float(spec.velocity_limit_radps.max()),
            "degrees per second? write rad/s",
        ),
        (
            columns.joint_torque_nm,
            1.5 * float(spec.effort_limit_nm.max()),
            "write joint torque in N m, not motor current or motor torque",
        ),
    )
    problems: list[str] = []
    for block, limit, advice in limits:
        typical = _typical_maximum(_values(dataset, block))
        if not typical <= limit:
            problems.append(
                f"{block.name} is above {typical:.3g} {block.unit} in {TOLERATED_SHARE:.0%} of "
                f"the rows; the robot's is below {limit:.3g}: {advice}"
            )
    return Findings(tuple(problems))


def check_actions(dataset: TransitionDataset) -> Findings:
    """Actions ask for targets inside the joint range."""
    lower, upper = action_bounds(dataset.spec)
    action = _values(dataset, dataset.columns.action)
    slack = dataset.spec.safety.joint_outside_damp_rad / dataset.spec.action_scale
    outside = float(np.mean((action < lower - slack) | (action > upper + slack)))
    if outside > TOLERATED_SHARE:
        return Findings(
            notes=(
                f"{outside:.1%} of the actions ask for targets outside the joint range; log the "
                "action as applied, after limits",
            )
        )
    return Findings()


def check_binary_columns(dataset: TransitionDataset) -> Findings:
    """Contacts are 0 or 1."""
    contacts = _values(dataset, dataset.columns.contact)
    wrong = (contacts != 0.0) & (contacts != 1.0)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        label = dataset.columns.label(dataset.columns.contact.start + int(column))
        return Findings(
            (
                f"{label} is {contacts[row, column]:g}; allowed is 0 or 1: "
                "write contacts, not forces",
            )
        )
    return Findings()


def check_dead_channels(dataset: TransitionDataset) -> Findings:
    """Every state channel moves; actions and privileged columns may rest, but it is said."""
    columns = dataset.columns
    if len(dataset.rows) < _FEWEST_ROWS_TO_MOVE:
        return Findings()
    dead = [
        column
        for block in columns.blocks
        for column in (
            block.start + np.flatnonzero(np.ptp(_values(dataset, block), axis=0) == 0.0)
        ).tolist()
    ]
    needed = [columns.label(column) for column in dead if column < columns.state_size]
    spare = [
        columns.label(column)
        for column in dead
        if columns.state_size <= column < columns.termination.start
    ]
    problems = (
        f"{len(needed)} channels never change: {listed(needed)}; find out why, a model can't "
        "learn them",
    )
    notes = (f"actions or privileged columns that never change: {listed(spare)}",)
    return Findings(problems if needed else (), notes if spare else ())


def check_frozen_rows(dataset: TransitionDataset) -> Findings:
    """States do not repeat bit for bit, as those of a stalled sensor do."""
    later = dataset.rows_within(before=1, after=0)
    repeated = sum(
        int(np.all(dataset.states[part] == dataset.states[part - 1], axis=1).sum())
        for part in np.array_split(later, len(later) // 65_536 + 1)
    )
    if repeated == 0:
        return Findings()
    share = repeated / len(later)
    said = f"{repeated} rows ({share:.2%}) repeat the state of the row before bit for bit"
    if share > FROZEN_SHARE:
        return Findings((f"{said}: a sensor or the logger stood still; leave them out as gaps",))
    return Findings(notes=(said,))


def _values(dataset: TransitionDataset, block: ColumnBlock) -> NDArray[np.float32]:
    """The block's values in all rows; episodes cover them."""
    return dataset.rows[:, block.slice]


def _typical_maximum(values: FloatArray) -> float:
    """Largest channel's size that all but TOLERATED_SHARE of the rows stay below."""
    return float(np.quantile(np.abs(values).max(axis=1), 1.0 - TOLERATED_SHARE))
