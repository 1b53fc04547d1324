"""Where the link to a G1 stops being one to walk on.

What RobotSpec states (ages, frozen measurements, tilt, joint ranges and speeds) stands there.
`U` is Unitree's own choice, unitree_sdk2 terminations.hpp; `ours` is to be argued with the owner
of the robot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.robots.unitree.remote import LOST_S


@dataclass(frozen=True)
class LinkLimits:
    """Thresholds of `LinkGuard`.

    Raises:
        ConfigError: A number isn't finite, or is below 0; 0 is allowed for mode_machine only.
    """

    mode_machine: int = 5
    """Which robot it must be: 5 has 29 joints, 4 has 23, 0 is a simulator's. Unitree's
    check_mode_machine (unitree_rl_lab) asks for 5."""
    mode_pr: int = 0
    """Ankles and waist as pitch and roll; 1 would be their two parallel motors (unitree_hg)."""
    link_lost_s: float = 1.0
    """U, lost connection: no good frame for so long ends in STOPPED. A link that comes back later
    would step the motors to a target of another time."""
    winding_damp_c: float = 120.0
    """U, winding [deg C]."""
    casing_damp_c: float = 85.0
    """U, casing [deg C]."""
    cooled_by_c: float = 10.0
    """Ours: a hot motor counts as hot until so far below both limits [deg C]."""
    battery_low_percent: float = 20.0
    """U, battery: up to it, no arming, and a robot that walks stands still."""
    battery_age_s: float = 10.0
    """Ours: what the battery said longer ago isn't known, and unknown is low."""
    remote_silent_s: float = 0.5
    """Ours, as the age of a velocity command: from then on the robot stands still."""
    remote_lost_s: float = LOST_S
    """All 40 bytes zero for so long (unitree_sdk2): nobody can press the e-stop any more."""
    stick_dead_band: float = 0.05
    """Ours: share of a stick's way around its middle that asks for nothing."""
    start_age_s: float = 0.5
    """Ours: a start button pressed longer ago is forgotten."""
    needs_remote: bool = True
    """Without one there must be another e-stop, such as a switch. Simulators have none."""
    needs_battery: bool = True
    """Simulators have none."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool):
                continue
            whole = field.name.startswith("mode_")
            if not (math.isfinite(value) and (value >= 0 if whole else value > 0)):
                raise ConfigError(
                    f"{field.name} is {value}; allowed is a finite number above 0",
                    fix="Give a limit; none of them is switched off by a number.",
                )
        if not self.stick_dead_band < 1.0:
            raise ConfigError(
                f"stick_dead_band is {self.stick_dead_band}; allowed is below 1",
                fix="Give a share of the stick's way.",
            )
