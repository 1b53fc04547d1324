"""A session of collecting on the simulated robot, with what its operator would do.

Faster than real time or in it. Where the robot was damped, the operator puts it up in the middle
of its area, arms it, and sets the origin; where its origin is old, he puts it on its mark. A robot
that leans on a leg beyond its range holds it there for good: he damps it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.robot_state import JointCommand, RobotState
from rwmu_deploy.patrol.collect_session import LOOK_S, CollectSession, SessionLook, Sight
from rwmu_deploy.patrol.odometry_watch import pose_from
from rwmu_deploy.runtime.control_loop import ControlLoop
from rwmu_deploy.runtime.safety_monitor import SafetyState
from rwmu_deploy.runtime.tick_report import TickReport
from rwmu_deploy.runtime.uncertainty_monitor import MonitorReading
from rwmu_deploy.simulation.odometry_drift import OdometryDrift
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot

FloatArray = NDArray[np.float64]
SETTLE_S = 1.0
"""A robot that was put up stands by its own controller for so long before it is armed."""
STAND_S = 2.0
"""At the end it stands for so long before it is damped."""
LEANS_S = 5.0
"""A leg that is beyond its range in HOLD for so long does not come back by itself."""
_PROGRESS_LOOKS = 10
MAX_PUT_UP = 200
"""Times that the operator puts it up before giving up."""


class SimulatedSession:
    """Drives loop, session and robot, tick by tick; the loop's way to the robot.

    `before_tick` and `on_tick` belong to the loop's thread.

    Args:
        session: Decides.
        robot: The simulated robot.
        drift: Of its odometry.
        period_s: Time between ticks.
        on_look: Told everything that was seen; must not wait for a disk in real time.
    """

    def __init__(
        self,
        session: CollectSession,
        robot: SimulatedRobot,
        drift: OdometryDrift,
        period_s: float,
        on_look: Callable[[SessionLook], None],
    ) -> None:
        self._session = session
        self._robot = robot
        self._drift = drift
        self._on_look = on_look
        self._every = max(1, round(LOOK_S / period_s))
        self._tick = self._looks = 0
        self._report: TickReport | None = None
        self._stands_since_s = -math.inf
        self._over_since_s = self._leans_since_s = math.inf
        self._was_armed = self._is_put_up = False
        self._needs_origin = True
        self._true_origin = np.zeros(3)
        self.put_up = 0
        """Times that the operator put the robot up."""
        self.progress = session.progress()
        """As of a moment ago; replaced whole."""
        self.origins_set = 0
        """Times that the operator put it on its mark because the origin was old."""
        self.farthest_out_m: float | None = None
        """How far the true robot came beyond the edge; below 0: it stayed inside."""
        self.rows, self.dropped = 0, 0
        """Of the log; whoever has it says them."""
        self.hold = ""
        """Why somebody wants the robot to stand."""
        self.is_over = False
        self.gave_up = ""
        """Why the session ended before its plan was done."""

    def latest_state(self) -> RobotState | None:
        """What the robot measures."""
        return self._robot.latest_state()

    def send(self, command: JointCommand) -> None:
        """Hand a command to the robot; one that is being put up stands by its own controller."""
        if not self._is_put_up:
            self._robot.send(command)

    def before_tick(self, loop: ControlLoop, now_s: float) -> None:
        """Look, decide and command; put up a robot that was damped, damp one that leans."""
        leans = any(reason.startswith("joint_outside_range") for reason in loop.reasons)
        self._leans_since_s = min(self._leans_since_s, now_s) if leans else math.inf
        if loop.state is SafetyState.HOLD and now_s - self._leans_since_s >= LEANS_S:
            loop.disarm(f"leaning for {LEANS_S:g} s: {'; '.join(loop.reasons)}")
        if loop.state is SafetyState.STOPPED:
            self._give_up("; ".join(loop.reasons))
        elif loop.state is SafetyState.DAMP:
            self._put_up(loop, now_s)
        elif self._tick % self._every == 0:
            self._look(loop, now_s)
        self._tick += 1

    def on_tick(self, report: TickReport) -> None:
        """Keep what a tick found."""
        self._report = report

    def _look(self, loop: ControlLoop, now_s: float) -> None:
        session = self._session
        sight = self._sight(now_s)
        if self._needs_origin and sight.phase == "policy":
            self._needs_origin = not session.set_origin(sight.pose)
            self._true_origin = self._true_pose()
        decision = session.look(now_s, sight)
        self._keep()
        if not self._needs_origin:
            place = pose_from(self._true_origin, self._true_pose())
            out_m = -float(session.plan.area.depth_m(place[:2]))
            self.farthest_out_m = max(out_m, self.farthest_out_m or out_m)
        loop.set_velocity_command(decision.command, now_s)
        if decision.needs_origin and not self._needs_origin:
            # The operator drives it onto its mark.
            self._robot.carry_to_origin()
            self.origins_set += 1
            self._needs_origin = True
        if decision.mode == "outside":
            loop.disarm(decision.reason)
        elif decision.mode == "over":
            self._over_since_s = min(self._over_since_s, now_s)
            self.is_over = now_s - self._over_since_s >= STAND_S

    def _keep(self) -> None:
        look = self._session.latest
        assert look is not None, "there was a look"
        self._on_look(look)
        self._looks += 1
        if self._looks % _PROGRESS_LOOKS == 0:
            self.progress = self._session.progress()

    def _true_pose(self) -> FloatArray:
        x, y, _ = self._robot.base_position_m
        return np.array([x, y, self._robot.base_yaw_rad])

    def _sight(self, now_s: float) -> Sight:
        report, robot = self._report, self._robot
        state = robot.latest_state()
        x, y = self._drift.believed_m(robot.base_position_m[None, :2])[0]
        linear, angular = state.base_linear_velocity_mps, state.base_angular_velocity_radps
        return Sight(
            pose=np.array([x, y, robot.base_yaw_rad]),
            received_s=now_s,
            velocity=np.array([linear[0], linear[1], angular[2]]),
            phase="disarmed" if report is None else report.phase,
            state="DAMP" if report is None else report.state.name,
            reasons=() if report is None else report.reasons,
            doubt=math.nan if report is None else doubt_of(report.monitor),
            rows=self.rows,
            dropped=self.dropped,
            hold=self.hold,
        )

    def _put_up(self, loop: ControlLoop, now_s: float) -> None:
        if self._was_armed:
            self._was_armed = False
            if self._report is not None:
                damped = replace(self._sight(now_s), state="DAMP", reasons=loop.reasons)
                self._session.look(now_s, damped)
                self._keep()
            self.put_up += 1
            if self.put_up > MAX_PUT_UP:
                self._give_up(f"the robot was damped {self.put_up} times")
                return
            self._stands_since_s = -math.inf
        if self._stands_since_s == -math.inf:
            self._is_put_up = True
            self._robot.reset()
            self._stands_since_s = now_s
        elif now_s - self._stands_since_s >= SETTLE_S:
            try:
                loop.arm(now_s)
            except RobotLinkError as error:
                self._give_up(str(error))
                return
            self._was_armed = self._needs_origin = True
            self._is_put_up = False

    def _give_up(self, why: str) -> None:
        self.gave_up = self.gave_up or why
        self.is_over = True


def doubt_of(reading: MonitorReading | None) -> float:
    """The largest statistic over its threshold of caution; NaN: nobody follows the robot."""
    if reading is None or not reading.is_warm:
        return math.nan
    return max(reading.uncertainty, reading.jump, reading.drift)
