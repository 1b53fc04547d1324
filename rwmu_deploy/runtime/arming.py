"""Whether a robot may be armed: every check at once, each with value, allowed and next step.

J = joints, in RobotSpec order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import RobotState
from rwmu_deploy.runtime.safety_monitor import sensor_verdicts
from rwmu_deploy.runtime.sensor_gate import SensorGate
from rwmu_deploy.runtime.stand_up import supporting_position_rad

HEALTHY_S = 1.0
"""Sensors must have been healthy for this long without interruption."""
LONGEST_LINK_TIMEOUT_S = 0.1
"""Only the robot's own time limit covers a process that is frozen; a longer one is no cover."""
STAND_UP_SHARE_OF_VELOCITY_LIMIT = 0.25
"""No joint stands up faster than this share of its velocity limit."""
_LONGEST_LOOK_AWAY_S = 0.1
_TIME_TOLERANCE_S = 1e-6


class HealthWatch:
    """How long all sensor checks have passed without interruption, time passed in.

    Args:
        spec: Sizes and limits.
    """

    def __init__(self, spec: RobotSpec) -> None:
        self._spec = spec
        self._gate = SensorGate(spec)
        self._healthy_since_s: float | None = None
        self._looked_s: float | None = None
        self.interruption = "nobody looked before"
        """Why the healthy time began when it did, or has not begun."""

    def look(self, sample: RobotState | None, now_s: float) -> None:
        """Judge the robot's latest sample; between two looks at most 0.1 s may pass."""
        reading = self._gate.check(sample, now_s)
        found = [verdict.reason for verdict in sensor_verdicts(self._spec, reading)]
        if reading.fault:
            found.append(f"{reading.fault}: sample refused")
        if self._looked_s is not None and not self._was_looking(now_s):
            self._healthy_since_s = None
            self.interruption = f"nobody looked for {now_s - self._looked_s:.2f} s"
        if found:
            self._healthy_since_s = None
            self.interruption = "; ".join(found)
        elif self._healthy_since_s is None:
            self._healthy_since_s = now_s
        self._looked_s = now_s

    def healthy_s(self, now_s: float) -> float:
        """Time since the latest interruption [s]; 0 while unhealthy, or when nobody looked."""
        if self._healthy_since_s is None or not self._was_looking(now_s):
            return 0.0
        return now_s - self._healthy_since_s

    def _was_looking(self, now_s: float) -> bool:
        looked_s = -math.inf if self._looked_s is None else self._looked_s
        return 0.0 <= now_s - looked_s <= _LONGEST_LOOK_AWAY_S + _TIME_TOLERANCE_S


@dataclass(frozen=True)
class ArmingFacts:
    """What is known when somebody asks to arm."""

    healthy_s: float
    """Time for which the sensors have been healthy without interruption."""
    interruption: str
    """Why it is not longer."""
    state: RobotState | None
    """The newest measurement."""
    stand_up_s: float
    """Time from the measured pose to the default pose."""
    other_commanders: Sequence[str]
    """Who else publishes joint commands."""
    bundle_sha256: str | None
    """Hash of the bundle that was verified; None: none was."""
    log_fault: str | None
    """Why the log can't be written; None: it can, or none is wanted."""
    robot_checks: Sequence[ArmingCheck] = ()
    """Checks of the robot's own that failed."""


@dataclass(frozen=True)
class ArmingCheck:
    """One check that failed."""

    name: str
    value: str
    allowed: str
    fix: str

    @property
    def sentence(self) -> str:
        """In one line."""
        return f"{self.name}: {self.value}; allowed is {self.allowed}. {self.fix}"


def failed_checks(spec: RobotSpec, facts: ArmingFacts) -> list[ArmingCheck]:
    """Every check that forbids arming; an empty list allows it."""
    checks = (
        _sensors_healthy(facts),
        _pose_within_reach(spec, facts),
        _only_commander(facts),
        _link_timeout_declared(spec),
        _bundle_verified(facts),
        _log_ready(facts),
    )
    return [*(check for check in checks if check is not None), *facts.robot_checks]


def refuse_unless_fit(spec: RobotSpec, facts: ArmingFacts) -> None:
    """Do nothing where every check passes.

    Raises:
        RobotLinkError: It names every check that failed, not the first alone.
    """
    failed = failed_checks(spec, facts)
    if failed:
        raise RobotLinkError(
            f"can't arm, {len(failed)} checks failed: "
            + " | ".join(check.sentence for check in failed),
            fix="Then arm again.",
        )


def _sensors_healthy(facts: ArmingFacts) -> ArmingCheck | None:
    if facts.healthy_s >= HEALTHY_S - _TIME_TOLERANCE_S:
        return None
    return ArmingCheck(
        "sensors_healthy",
        f"healthy for {facts.healthy_s:.1f} s of {HEALTHY_S:g} s: because {facts.interruption}",
        f"{HEALTHY_S:g} s or more without interruption",
        "Check the sensors and the pose, and wait.",
    )


def _pose_within_reach(spec: RobotSpec, facts: ArmingFacts) -> ArmingCheck | None:
    allowed_radps = STAND_UP_SHARE_OF_VELOCITY_LIMIT * spec.velocity_limit_radps
    fix = "Bring the robot nearer to its default pose by hand, or give stand_up_s more time."
    if facts.state is None:
        return ArmingCheck("pose_within_reach", "no pose was measured", "a measured pose", fix)
    start_rad = supporting_position_rad(spec, facts.state)
    # The ramp is half a cosine, which is pi / 2 times as fast in the middle as on average.
    distance_rad = np.abs(spec.default_position_rad - start_rad)
    speed_radps = 0.5 * np.pi * distance_rad / facts.stand_up_s
    joint = int(np.argmax(speed_radps / allowed_radps))
    if bool((speed_radps <= allowed_radps).all()):
        return None
    return ArmingCheck(
        "pose_within_reach",
        f"standing up from {start_rad[joint]:.2f} rad in {facts.stand_up_s:g} s turns "
        f"{spec.joint_names[joint]} with {speed_radps[joint]:.2f} rad/s",
        f"{allowed_radps[joint]:.2f} rad/s, a quarter of its limit",
        fix,
    )


def _only_commander(facts: ArmingFacts) -> ArmingCheck | None:
    if not facts.other_commanders:
        return None
    return ArmingCheck(
        "only_commander",
        f"{', '.join(facts.other_commanders)} publishes joint commands too",
        "one publisher, this node",
        "End the other; a node that was killed is forgotten after some seconds.",
    )


def _link_timeout_declared(spec: RobotSpec) -> ArmingCheck | None:
    if 0.0 < spec.link_timeout_s <= LONGEST_LINK_TIMEOUT_S:
        return None
    return ArmingCheck(
        "link_timeout_declared",
        f"link_timeout_s of {spec.name} is {spec.link_timeout_s:g} s",
        f"above 0 s, up to {LONGEST_LINK_TIMEOUT_S:g} s",
        "Let the robot damp by itself so soon after the last command, test it by kill -9 of this "
        "node, and declare it in robot.yaml.",
    )


def _bundle_verified(facts: ArmingFacts) -> ArmingCheck | None:
    if facts.bundle_sha256:
        return None
    return ArmingCheck(
        "bundle_verified", "no bundle was verified", "a verified bundle", "Configure again."
    )


def _log_ready(facts: ArmingFacts) -> ArmingCheck | None:
    if facts.log_fault is None:
        return None
    return ArmingCheck(
        "log_ready", facts.log_fault, "a log that can be written", "Name another log_dir, or none."
    )
