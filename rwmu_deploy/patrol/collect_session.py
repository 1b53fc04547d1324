"""One session of collecting: walk by itself, wait where it must, and know what happened.

Pure: what is seen of the robot and the time are passed in. Whoever runs it sends the command it
decides on, and damps the robot where it says `outside`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import LogError
from rwmu_deploy.patrol.autonomous_walk import AutonomousWalk, WalkDecision
from rwmu_deploy.patrol.collect_plan import BATTERY_HYSTERESIS, CollectPlan
from rwmu_deploy.patrol.command_scheduler import CommandScheduler
from rwmu_deploy.patrol.odometry_watch import OdometryReading, OdometryWatch
from rwmu_deploy.patrol.velocity_fence import VelocityFence

FloatArray = NDArray[np.float64]
LOOK_S = 0.1
"""Time between looks."""
PATH_COLUMNS = (
    "t_s",
    "x_m",
    "y_m",
    "yaw_rad",
    "vx_mps",
    "vy_mps",
    "wz_radps",
    "command_vx_mps",
    "command_vy_mps",
    "command_wz_radps",
    "mode",
    "state",
    "doubt",
)


@dataclass(frozen=True)
class Sight:
    """What is known of the robot at a look."""

    pose: FloatArray
    """x [m], y [m], yaw [rad], odometry's frame, shape (3,)."""
    received_s: float
    """When that came; minus infinity before the first."""
    velocity: FloatArray
    """vx [m/s], vy [m/s], wz [rad/s], base frame, shape (3,)."""
    phase: str
    """Of the control loop: disarmed, stand_up, policy."""
    state: str
    """RUN, HOLD, DAMP or STOPPED."""
    reasons: tuple[str, ...] = ()
    """Why it isn't RUN."""
    doubt: float = math.nan
    """The monitor's largest statistic over its threshold of caution; NaN: there is none."""
    rows: int = 0
    """Logged since the program began."""
    dropped: int = 0
    battery: float = math.nan
    """Share of the charge; NaN: not known."""
    hold: str = ""
    """Why the operator wants it to stand."""


@dataclass(frozen=True)
class SessionEvent:
    """Something that the report tells."""

    t_s: float
    """Since the session began, over all starts."""
    kind: str
    """walk, home, stand, over, outside; damped; origin, resumed."""
    detail: str


@dataclass(frozen=True)
class SessionLook:
    """What was seen and decided at a look."""

    t_s: float
    sight: Sight
    place: OdometryReading
    decision: WalkDecision

    def path_line(self) -> tuple[str, ...]:
        """Values of `PATH_COLUMNS`."""
        numbers = (*self.place.pose, *self.sight.velocity, *self.decision.command)
        return (
            f"{self.t_s:.2f}",
            *(f"{number:.4f}" for number in numbers),
            self.decision.mode,
            self.sight.state,
            f"{self.sight.doubt:.3f}",
        )


class CollectSession:
    """Walks one robot until its plan is done.

    Args:
        plan: What to do.
        command_range: What the policy was trained for.
        progress: How far an earlier start came.
        on_event: Told every event.

    Raises:
        ConfigError: The fence is smaller than the robot's way to a stop.
        LogError: The progress is of another plan.
    """

    def __init__(
        self,
        plan: CollectPlan,
        command_range: CommandRange,
        *,
        progress: Mapping[str, Any] | None = None,
        on_event: Callable[[SessionEvent], None] | None = None,
    ) -> None:
        self.plan = plan
        self._on_event = on_event
        progress = progress or {}
        # Other draws after every start: the same ones would walk the same way again.
        self.starts = int(progress.get("starts", 0)) + 1
        fence = VelocityFence(plan.area, plan.response, command_range, plan.fence)
        scheduler = CommandScheduler(command_range, plan.schedule, plan.seed + 1000 * self.starts)
        self.walk = AutonomousWalk(fence, plan.response, scheduler, plan.limits)
        self._odometry = OdometryWatch()
        self._before_s: float | None = None
        self.t_s = float(progress.get("t_s", 0.0))
        """Time of the session, over all starts."""
        self.rows_before = int(progress.get("rows", 0))
        """Of earlier starts."""
        self._dropped_before = int(progress.get("dropped", 0))
        self._is_battery_low = False
        self._was = ("", "")
        self._damped = False
        self.latest: SessionLook | None = None
        if progress:
            self._restore(progress)
            self._say("resumed", f"start {self.starts}")

    def set_origin(self, pose: FloatArray) -> bool:
        """Let the fence lie about a pose x, y, yaw of odometry; false where it isn't finite."""
        done = self._odometry.set_origin(pose)
        if done:
            x, y, yaw = pose
            self._say("origin", f"{x:.2f} m, {y:.2f} m, {yaw:.2f} rad of odometry")
        return done

    def look(self, now_s: float, sight: Sight) -> WalkDecision:
        """Decide what the robot is to do until the next look, `LOOK_S` later.

        Args:
            now_s: Monotonic time.
            sight: What is known of the robot.
        """
        if self._before_s is not None:
            self.t_s += max(0.0, now_s - self._before_s)
        self._before_s = now_s
        self._note_damping(sight)
        place = self._odometry.update(now_s, sight.received_s, sight.pose, sight.velocity)
        decision = self.walk.update(now_s, place, sight.velocity, self._hold(sight))
        self._note_decision(decision)
        self.latest = SessionLook(self.t_s, sight, place, decision)
        return decision

    def progress(self) -> dict[str, Any]:
        """How far it is, for a later start and for whoever watches."""
        look = self.latest
        about: dict[str, Any] = {
            "starts": self.starts,
            "t_s": round(self.t_s, 2),
            "walked_s": round(self.walk.walked_s, 2),
            "longest_s": self.plan.limits.longest_s,
            "way_m": round(self.walk.way_m, 2),
            "rows": self.rows_before + (0 if look is None else look.sight.rows),
            "dropped": self._dropped_before + (0 if look is None else look.sight.dropped),
            "coverage": round(self.walk.scheduler.coverage(), 4),
            "followed_s": np.round(self.walk.scheduler.followed_s, 2).tolist(),
            "events": dict(self.walk.events),
        }
        if look is None:
            return about
        finite = [None if not math.isfinite(v) else round(float(v), 3) for v in look.place.pose]
        return about | {
            "pose": finite,
            "mode": look.decision.mode,
            "reason": look.decision.reason,
            "command": [round(float(v), 3) for v in look.decision.command],
            "state": look.sight.state,
            "reasons": list(look.sight.reasons),
            "doubt": None if math.isnan(look.sight.doubt) else round(look.sight.doubt, 3),
            "battery": None if math.isnan(look.sight.battery) else look.sight.battery,
        }

    def _restore(self, progress: Mapping[str, Any]) -> None:
        followed_s = np.asarray(progress.get("followed_s"), dtype=np.float64)
        if followed_s.shape != self.walk.scheduler.followed_s.shape:
            raise LogError(
                f"the session's progress has bins of {followed_s.shape}, its plan of "
                f"{self.walk.scheduler.followed_s.shape}",
                fix="Begin in another folder.",
            )
        self.walk.scheduler.followed_s = followed_s
        self.walk.walked_s = float(progress["walked_s"])
        self.walk.way_m = float(progress["way_m"])
        self.walk.events.update(progress["events"])

    def _hold(self, sight: Sight) -> str:
        """Why it must stand, the gravest reason first; empty: it may walk."""
        if not (sight.phase == "policy" and sight.state == "RUN"):
            why = "; ".join(sight.reasons)
            return f"robot in {sight.state}, {sight.phase}" + (f": {why}" if why else "")
        if sight.hold:
            return sight.hold
        floor = self.plan.battery_floor + BATTERY_HYSTERESIS * self._is_battery_low
        self._is_battery_low = sight.battery < floor
        if self._is_battery_low:
            return f"battery low: {100 * sight.battery:.0f} %"
        return ""

    def _note_damping(self, sight: Sight) -> None:
        """A robot that was damped may have been carried: its place is not known any more."""
        damped = sight.state in ("DAMP", "STOPPED")
        if damped and not self._damped and self.latest is not None:
            self._say("damped", "; ".join(sight.reasons) or sight.state)
            self._odometry.lose("the robot was damped: set the origin again")
        self._damped = damped

    def _note_decision(self, decision: WalkDecision) -> None:
        # Numbers in a reason change at every look; what stands before its colon doesn't.
        now = (decision.mode, decision.reason.split(":")[0])
        if now != self._was:
            self._say(decision.mode, decision.reason)
        self._was = now

    def _say(self, kind: str, detail: str) -> None:
        if self._on_event is not None:
            self._on_event(SessionEvent(self.t_s, kind, detail))
