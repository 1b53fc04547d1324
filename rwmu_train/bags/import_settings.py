"""What an import may be told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from rwmu_deploy.collection.transition_segment import Source
from rwmu_deploy.contract.errors import ConfigError

TorqueChoice = Literal["measured", "pd"]


@dataclass(frozen=True)
class ImportSettings:
    """How a bag becomes transitions.

    Raises:
        ConfigError: A value is out of range.
    """

    topics: Mapping[str, str] = field(default_factory=dict)
    """Role -> topic, for roles whose topic has another name than usual."""
    base_frame: str = "base"
    """child_frame_id that the odometry must have."""
    imu_frame: str | None = None
    """frame_id that the IMU must have; None: the base frame."""
    command_joints: tuple[str, ...] = ()
    """Order of a Float64MultiArray of targets without labels."""
    torque: TorqueChoice = "measured"
    max_gap_s: float = 0.06
    """No value is made from messages further apart than this, or from an older target."""
    fall_tilt_rad: float | None = None
    """A base tilted further has fallen; None: no terminations."""
    source: Source = "real"
    rows_per_file: int = 10_000

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        tilt = self.fall_tilt_rad
        checks = (
            ("torque", self.torque, self.torque in get_args(TorqueChoice), "measured or pd"),
            ("source", self.source, self.source in get_args(Source), "sim or real"),
            ("max_gap_s", self.max_gap_s, 0.0 < self.max_gap_s <= 1.0, "above 0 and up to 1 s"),
            (
                "fall_tilt_rad",
                tilt,
                tilt is None or 0.0 < tilt < math.pi,
                "above 0 and below pi",
            ),
            ("rows_per_file", self.rows_per_file, self.rows_per_file >= 1, "1 or more"),
        )
        for name, value, is_allowed, allowed in checks:
            if not is_allowed:
                raise ConfigError(f"{name} is {value}; allowed is {allowed}", fix="Correct it.")
