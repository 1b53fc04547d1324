"""Map joint values between two orders by name, never by index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import RobotSpecError

FloatArray = NDArray[np.float64]


class JointMap:
    """Carries values from a source order of joints to a target order.

    Args:
        source_names: Joint names in the order of the incoming values. More joints than the target
            needs are allowed (a robot may publish grippers or payload joints); fewer are not.
        target_names: Joint names in the order wanted.
        source: What the source is, for the error ("topic /joint_states").

    Raises:
        RobotSpecError: A name is missing from the source, or stands twice in either list.
    """

    def __init__(
        self, source_names: Sequence[str], target_names: Sequence[str], *, source: str
    ) -> None:
        _refuse_doubles(source_names, source)
        _refuse_doubles(target_names, "the wanted joint order")
        position = {name: index for index, name in enumerate(source_names)}
        missing = [name for name in target_names if name not in position]
        if missing:
            raise RobotSpecError(
                f"{source} has no joint {', '.join(missing)}; it has {', '.join(source_names)}",
                fix="Rename the joints there, or use the robot.yaml of this robot.",
            )
        self.source_size = len(source_names)
        self.source_index = np.array([position[name] for name in target_names], dtype=np.intp)

    def __call__(self, values: Sequence[float] | FloatArray) -> FloatArray:
        """Values in the target order, shape (J,), float64.

        Raises:
            RobotSpecError: The number of values differs from the number of source names.
        """
        array = np.asarray(values, dtype=np.float64)
        if array.shape != (self.source_size,):
            raise RobotSpecError(
                f"expected {self.source_size} joint values, got an array of shape {array.shape}",
                fix="Send one value for every joint name.",
            )
        return array[self.source_index]


def _refuse_doubles(names: Sequence[str], where: str) -> None:
    doubled = sorted({name for name in names if list(names).count(name) > 1})
    if doubled:
        raise RobotSpecError(
            f"{where} names {', '.join(doubled)} more than once", fix="Name every joint once."
        )
