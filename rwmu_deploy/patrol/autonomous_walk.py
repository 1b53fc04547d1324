"""A robot that walks by itself: which command now, and why.

Pure: time, place and velocity are passed in; whoever sends commands calls `update` some ten times
a second and ends the run where it says so.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.patrol.command_scheduler import CommandScheduler
from rwmu_deploy.patrol.odometry_watch import OdometryReading
from rwmu_deploy.patrol.velocity_fence import VelocityFence
from rwmu_deploy.patrol.walking_response import WalkingResponse

FloatArray = NDArray[np.float64]
Mode = Literal["walk", "home", "stand", "over", "outside"]
"""Following drawn commands; on the way to the middle; standing until something changes; done;
beyond the edge, where the robot has to be damped."""
_ATTEMPTS = 20
_GETS_GOING = 0.5
"""Share of a commanded speed from which on a robot is not on the spot."""
_PATIENCE_S = 2.0
"""A robot that stays on the spot for so long on its way home is told to walk faster."""
_FASTER = 1.25


@dataclass(frozen=True)
class WalkLimits:
    """When a walk is over.

    Raises:
        ConfigError: A limit isn't above 0.
    """

    longest_s: float
    """Time of walking; standing doesn't count."""
    farthest_m: float = math.inf
    """Way in all."""

    def __post_init__(self) -> None:
        for name in ("longest_s", "farthest_m"):
            if not getattr(self, name) > 0.0:
                raise ConfigError(
                    f"walk {name} is {getattr(self, name)}; allowed is above 0",
                    fix="Give the time in seconds, the way in metres.",
                )


@dataclass(frozen=True)
class WalkDecision:
    """What a robot is to do now."""

    mode: Mode
    command: FloatArray
    """vx, vy, wz, ramped, shape (3,)."""
    reason: str
    """Why it doesn't walk; empty while it does."""
    needs_origin: bool = False
    """Whether it stands until somebody puts it on its mark and sets the origin."""


class AutonomousWalk:
    """Walks one robot about its area.

    A command is kept for its time, as long as the fence allows it; then, or when it would lead
    out, the scheduler's proposals are tried in turn. Where all are refused the robot walks home,
    and is free again when it is deep enough inside.

    Args:
        fence: Judges commands.
        response: How the robot follows commands; ramps them.
        scheduler: Proposes commands.
        limits: When it is over.
    """

    def __init__(
        self,
        fence: VelocityFence,
        response: WalkingResponse,
        scheduler: CommandScheduler,
        limits: WalkLimits,
    ) -> None:
        self._fence = fence
        self._response = response
        self.scheduler = scheduler
        self._limits = limits
        self._told = np.zeros(3)
        self._wanted = np.zeros(3)
        self._until_s = -math.inf
        self._mode: Mode = "stand"
        self._before_s: float | None = None
        self._home_mps = fence.settings.home_speed_mps
        self._went_s = -math.inf
        """When it last got on while it walked home."""
        self._waits = False
        """Whether it came home because its origin is old."""
        self.walked_s = 0.0
        """Time of walking so far."""
        self.way_m = 0.0
        """Way so far, over all origins."""
        self._walked_before_m = 0.0
        self.events: Counter[str] = Counter()
        """Commands drawn and refused, ways home, and every reason to stand."""

    def update(
        self,
        now_s: float,
        place: OdometryReading,
        velocity: FloatArray,
        hold: str = "",
    ) -> WalkDecision:
        """Decide what to do until the next look.

        Args:
            now_s: Monotonic time.
            place: Where the robot is.
            velocity: vx, vy, wz measured, base frame, shape (3,).
            hold: Why somebody wants it to stand, such as the operator or its battery.
        """
        passed_s = 0.0 if self._before_s is None else now_s - self._before_s
        self._before_s = now_s
        self._account(passed_s, place.walked_m)
        mode, reason = self._obstacle(place, hold)
        is_old = mode is None and bool(self._fence.origin_is_old(place.pose, place.walked_m))
        # Once there it stays, however odometry creeps.
        self._waits = is_old and (self._waits or bool(self._fence.is_centred(place.pose)))
        if self._waits:
            mode, reason = "stand", f"the origin is old: {place.walked_m:.0f} m, set it again"
        if mode is None:
            mode, wanted = self._next(now_s, place, velocity, go_home=is_old)
        else:
            wanted = np.zeros(3)
            self._until_s = -math.inf
        if mode != self._mode:
            self.events[reason.split(":")[0] if mode == "stand" else mode] += 1
        self._mode, self._wanted = mode, wanted
        self._told = self._response.ramped(self._told, wanted, max(0.0, passed_s))
        needs_origin = mode == "stand" and (is_old or bool(place.fault))
        return WalkDecision(mode, self._told, reason, needs_origin)

    def _account(self, passed_s: float, walked_m: float) -> None:
        self.way_m += max(0.0, walked_m - self._walked_before_m)
        self._walked_before_m = walked_m
        if self._mode in ("walk", "home") and passed_s > 0.0:
            self.walked_s += passed_s
            self.scheduler.note(self._told, passed_s)

    def _obstacle(self, place: OdometryReading, hold: str) -> tuple[Mode | None, str]:
        """Why it must not walk; what no other reason changes comes first."""
        if not (self.walked_s < self._limits.longest_s and self.way_m <= self._limits.farthest_m):
            return "over", f"walked {self.walked_s:.0f} s and {self.way_m:.0f} m"
        if place.fault:
            return "stand", place.fault
        if self._fence.is_outside(place.pose):
            x, y, _ = place.pose
            return "outside", f"beyond the edge at {x:.2f} m, {y:.2f} m"
        if hold:
            return "stand", hold
        return None, ""

    def _next(
        self, now_s: float, place: OdometryReading, velocity: FloatArray, *, go_home: bool
    ) -> tuple[Mode, FloatArray]:
        fence, told, walked_m = self._fence, self._told, place.walked_m
        is_free = self._mode != "home" or bool(fence.is_home(place.pose))
        if is_free and not go_home:
            if now_s < self._until_s and self._allows(place, velocity, self._wanted[None])[0]:
                return "walk", self._wanted
            proposals = self.scheduler.proposals(_ATTEMPTS)
            allowed = self._allows(place, velocity, proposals)
            self.events["drawn"] += 1
            self.events["refused"] += int(np.argmax(allowed)) if allowed.any() else _ATTEMPTS
            if allowed.any():
                self._until_s = now_s + self.scheduler.hold_s()
                return "walk", proposals[int(np.argmax(allowed))]
        speed_mps = self._home_speed_mps(now_s, velocity)
        return "home", fence.way_home(place.pose, velocity, told, walked_m, speed_mps)

    def _home_speed_mps(self, now_s: float, velocity: FloatArray) -> float:
        """The fence's, and more where the robot stays on the spot: policies have dead bands."""
        if self._mode != "home":
            self._home_mps, self._went_s = self._fence.settings.home_speed_mps, now_s
        if math.hypot(velocity[0], velocity[1]) >= _GETS_GOING * self._home_mps:
            self._went_s = now_s
        elif now_s - self._went_s > _PATIENCE_S:
            faster_mps = min(_FASTER * self._home_mps, self._fence.fastest_mps)
            self._home_mps, self._went_s = max(self._home_mps, faster_mps), now_s
        return self._home_mps

    def _allows(
        self, place: OdometryReading, velocity: FloatArray, commands: FloatArray
    ) -> NDArray[np.bool_]:
        return self._fence.allows(place.pose, velocity, self._told, commands, place.walked_m)
