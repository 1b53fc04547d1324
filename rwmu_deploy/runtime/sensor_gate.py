"""Which measurements may be used: finite, plausible, in order, and alive."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import RobotState

FUTURE_TOLERANCE_S = 0.02
"""A sample stamped later than this after now is not from this clock."""
GRAVITY_NORM = (0.9, 1.1)
"""Length that a unit vector of gravity may have."""
# What no measurement of a walking robot reaches: such a value is a broken message, not a state.
# The limits that end RUN (joint range, velocities, tilt) are far inside; SafetyMonitor has them.
_PLAUSIBLE = {
    "base_linear_velocity_mps": 10.0,
    "base_angular_velocity_radps": 35.0,
    "projected_gravity": GRAVITY_NORM[1],
    "joint_position_rad": 4.0 * math.pi,
    "joint_velocity_radps": 100.0,
    "joint_torque_nm": 1000.0,
    "contact": 1.0,
}


@dataclass(frozen=True)
class SensorReading:
    """What is known of the robot at a tick."""

    state: RobotState | None
    """The newest sample that may be used; None before the first."""
    fresh: bool
    """Whether that sample is new since the last check."""
    age_s: float
    """Its age; infinite before the first."""
    bad_in_a_row: int
    """Unusable samples since it."""
    fault: str | None
    """Why a new sample was refused at this check, a key for counting; None when none was."""
    frozen_s: float
    """How long the most silent source has sent the same bits, in samples that kept coming."""
    frozen_source: str
    """That source: a key of `SOURCES`."""


SOURCES = {
    "joint_states": ("joint_position_rad", "joint_velocity_radps", "joint_torque_nm"),
    "imu": ("base_angular_velocity_radps", "projected_gravity"),
    "odom": ("base_linear_velocity_mps",),
}
"""What is measured together. No living source says the same to the last bit for long: encoders at
rest may, but not velocity and torque beside them. Contacts do, and are left out."""


@dataclass(frozen=True, eq=False)
class GateMemory:
    """What a gate knows from earlier samples."""

    good: RobotState | None
    newest_s: float
    seen: RobotState | None
    bad_in_a_row: int
    changed_s: Mapping[str, float]


class SensorGate:
    """Lets usable samples through and keeps the last of them.

    Args:
        spec: Tells the sizes.
    """

    def __init__(self, spec: RobotSpec) -> None:
        joints = (spec.joint_count,)
        self._shapes = {
            "base_linear_velocity_mps": (3,),
            "base_angular_velocity_radps": (3,),
            "projected_gravity": (3,),
            "joint_position_rad": joints,
            "joint_velocity_radps": joints,
            "joint_torque_nm": joints,
            "contact": (len(spec.contact_names),),
        }
        self._good: RobotState | None = None
        self._newest_s = -math.inf
        self._seen: RobotState | None = None
        self._bad_in_a_row = 0
        self._changed_s = dict.fromkeys(SOURCES, -math.inf)

    def check(self, sample: RobotState | None, now_s: float) -> SensorReading:
        """Judge the robot's latest sample.

        The same sample again, or none, is no news: the last good one just gets older. An unusable
        one is refused and counted in `bad_in_a_row`, until a good one comes.
        """
        fault, fresh = None, False
        if sample is not None and sample is not self._seen:
            self._seen = sample
            if sample.received_s == self._newest_s:
                pass
            elif sample.received_s < self._newest_s:
                fault = "sensor_out_of_order"
            else:
                fault = self._fault(sample, now_s)
                fresh = fault is None
                self._bad_in_a_row = 0 if fresh else self._bad_in_a_row + 1
                if fresh:
                    self._note_changes(sample)
                    self._good, self._newest_s = sample, sample.received_s
        age_s = math.inf if self._good is None else now_s - self._good.received_s
        source = min(self._changed_s, key=lambda name: self._changed_s[name])
        frozen_s = 0.0 if self._good is None else self._newest_s - self._changed_s[source]
        return SensorReading(self._good, fresh, age_s, self._bad_in_a_row, fault, frozen_s, source)

    def _note_changes(self, sample: RobotState) -> None:
        for source, fields in SOURCES.items():
            if self._good is None or any(
                getattr(sample, field).tobytes() != getattr(self._good, field).tobytes()
                for field in fields
            ):
                self._changed_s[source] = sample.received_s

    @property
    def memory(self) -> GateMemory:
        """All that later checks depend on."""
        return GateMemory(
            self._good, self._newest_s, self._seen, self._bad_in_a_row, dict(self._changed_s)
        )

    def restore(self, memory: GateMemory) -> None:
        """Go on from there."""
        self._good, self._newest_s = memory.good, memory.newest_s
        self._seen, self._bad_in_a_row = memory.seen, memory.bad_in_a_row
        self._changed_s = dict(memory.changed_s)

    def _fault(self, sample: RobotState, now_s: float) -> str | None:
        if not sample.received_s <= now_s + FUTURE_TOLERANCE_S:
            return "sensor_stamp_in_future"
        for field, shape in self._shapes.items():
            values = getattr(sample, field)
            if np.shape(values) != shape:
                return "sensor_wrong_size"
            if not np.isfinite(values).all():
                return "sensor_not_finite"
            if not np.abs(values).max(initial=0.0) <= _PLAUSIBLE[field]:
                return "sensor_implausible"
        norm = float(np.linalg.norm(sample.projected_gravity))
        return None if GRAVITY_NORM[0] <= norm <= GRAVITY_NORM[1] else "gravity_norm"
