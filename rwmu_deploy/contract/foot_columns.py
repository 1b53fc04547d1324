"""Extension columns that say how high each foot is, and how fast it moves over the ground.

A foot is the point where its touch site lies in the robot's model. F = feet.
"""

from __future__ import annotations

from dataclasses import dataclass

from rwmu_deploy.contract.errors import RobotSpecError
from rwmu_deploy.contract.robot_spec import RobotSpec


@dataclass(frozen=True)
class FootColumns:
    """Where in the extension they are, foot by foot."""

    height_m: tuple[int, ...]
    """Over the ground, length F."""
    speed_mps: tuple[int, ...]
    """Along the ground, length F."""


def foot_columns(spec: RobotSpec) -> FootColumns | None:
    """The columns "<foot>_height_m" and "<foot>_speed_mps"; None for a robot without extension.

    Raises:
        RobotSpecError: The extension holds something else, or lacks a foot.
    """
    if not spec.extension_names:
        return None
    height = [f"{name}_height_m" for name in spec.foot_names]
    speed = [f"{name}_speed_mps" for name in spec.foot_names]
    if set(spec.extension_names) != {*height, *speed}:
        raise RobotSpecError(
            f"{spec.name}: extension_names are {', '.join(spec.extension_names)}; allowed are "
            f"{', '.join((*height, *speed))}",
            fix="Name these columns in robot.yaml, or none.",
        )
    index = spec.extension_names.index
    return FootColumns(tuple(map(index, height)), tuple(map(index, speed)))
