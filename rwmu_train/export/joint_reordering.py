"""Give a policy that knows its robot's joints in another order the robot's own.

The first layer's columns, the last layer's rows and the normaliser move; no number changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import CheckpointError
from rwmu_deploy.contract.joint_map import JointMap
from rwmu_deploy.contract.observation import observation_size, observation_terms
from rwmu_deploy.contract.robot_spec import RobotSpec


def joint_positions(
    source: Sequence[str], target: Sequence[str], *, what: str
) -> NDArray[np.intp]:
    """For every joint of the target order, its position in the source order; shape (J,).

    Args:
        source: Joint names in the order that values come in.
        target: The same names in the order that is wanted.
        what: What the source is, for the error ("--joint-order").

    Raises:
        RobotSpecError: A joint is missing or stands twice.
        CheckpointError: There is a joint that the target doesn't have.
    """
    position = JointMap(source, target, source=what).source_index
    strangers = sorted(set(source) - set(target))
    if strangers:
        raise CheckpointError(
            f"{what} has {', '.join(strangers)}; allowed are {', '.join(target)}",
            fix="Name every joint of the policy once, in the policy's order.",
        )
    return position


def observation_positions(spec: RobotSpec, position: NDArray[np.intp]) -> NDArray[np.intp]:
    """For every entry of the robot's observation, where another joint order has it; shape (O,).

    Args:
        spec: The robot.
        position: For every joint of the robot, its position in the other order, shape (J,).
    """
    entries = np.arange(observation_size(spec))
    for term in observation_terms(spec):
        if term.labels == spec.joint_names:
            entries[term.slice] = term.start + position
    return entries
