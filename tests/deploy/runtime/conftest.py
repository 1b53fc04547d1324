"""A control loop on the simulated robot and a manual clock, with faults to inject."""

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.contract.robot_state import JointCommand, RobotState
from rwmu_deploy.runtime.clock import ManualClock
from rwmu_deploy.runtime.control_loop import ControlLoop
from rwmu_deploy.runtime.data_guard import DataGuard
from rwmu_deploy.runtime.safety_monitor import SafetyState
from rwmu_deploy.runtime.tick_report import TickReport
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot

sys.path.append(str(Path(__file__).parent))
from light_robot import LightRobot

COMMAND_RANGE = CommandRange((-0.5, -0.3, -1.0), (1.0, 0.3, 1.0))


class StandPolicy:
    """Always the default pose; `answer` replaces what it says."""

    def __init__(self) -> None:
        self.answer: Callable[[np.ndarray], np.ndarray] = lambda observation: np.zeros(12)
        self.observations: list[np.ndarray] = []

    def action(self, observation: np.ndarray) -> np.ndarray:
        self.observations.append(observation)
        return self.answer(observation)


class FaultyLink:
    """The simulated robot with faults: `sense` changes measurements, `on_send` may raise."""

    def __init__(self, robot: SimulatedRobot | LightRobot) -> None:
        self.robot = robot
        self.sent: list[JointCommand] = []
        """The latest 100."""
        self.count = 0
        self.sense: Callable[[RobotState], RobotState | None] = lambda state: state
        self.on_send: Callable[[JointCommand], None] = lambda command: None

    def latest_state(self) -> RobotState | None:
        return self.sense(self.robot.latest_state())

    def send(self, command: JointCommand) -> None:
        self.on_send(command)
        self.sent.append(command)
        self.count += 1
        if len(self.sent) > 200:
            del self.sent[:-100]
        self.robot.send(command)


class Rig:
    """Loop, robot and clock; every tick is checked against the universal promises."""

    def __init__(
        self,
        spec: RobotSpec,
        stand_up_s: float,
        guard: DataGuard | None = None,
        robot: SimulatedRobot | LightRobot | None = None,
        **loop_options: Any,
    ) -> None:
        self.spec = spec
        self.clock = ManualClock(100.0)
        self.robot = robot or SimulatedRobot(spec, start_s=99.0)
        self.robot.advance(100.0)
        self.link = FaultyLink(self.robot)
        self.policy = StandPolicy()
        self.reports: list[TickReport] = []
        self.loop = ControlLoop(
            spec,
            self.policy,
            self.link,
            command_range=COMMAND_RANGE,
            stand_up_s=stand_up_s,
            guard=guard,
            on_tick=self._on_tick,
            **loop_options,
        )
        self.ticks = 0
        self._unhealthy_s = -math.inf

    def _on_tick(self, report: TickReport) -> None:
        self.reports.append(report)
        del self.reports[:-100]

    @property
    def report(self) -> TickReport:
        return self.reports[-1]

    def tick(self, count: int = 1, period_s: float | None = None, skipped: int = 0) -> TickReport:
        assert count > 0
        for _ in range(count):
            self.clock.advance(self.spec.control_dt_s if period_s is None else period_s)
            self.robot.advance(self.clock.now_s())
            report = self.step(skipped=skipped)
        return report

    def step(self, now_s: float | None = None, skipped: int = 0) -> TickReport:
        """One tick of the loop alone, checked: time and robot stand still."""
        before, counted = self.loop.state, sum(self.loop.counters.values())
        already = self.link.count
        report = self.loop.tick(self.clock.now_s() if now_s is None else now_s, skipped)
        self.ticks += 1
        self._check(report, already, before, sum(self.loop.counters.values()) - counted)
        return report

    def walk(self) -> TickReport:
        self.loop.arm(self.clock.now_s())
        while self.tick().phase != "policy":
            assert self.report.state is SafetyState.RUN, self.report.reasons
        return self.report

    def tick_until(self, state: SafetyState, most: int = 60) -> int:
        """Ticks until a state is reached, that tick included."""
        for count in range(1, most + 1):
            if self.tick().state is state:
                return count
        raise AssertionError(f"{state.name} not reached; it is {self.report}")

    def _check(
        self, report: TickReport, already: int, before: SafetyState, newly_counted: int
    ) -> None:
        spec, sent = self.spec, self.link.sent
        assert self.link.count == already + 1, "exactly one command a tick"
        command = sent[-1]
        assert command is report.command
        assert np.isfinite(command.position_rad).all()
        assert (command.position_rad >= spec.lower_rad).all()
        assert (command.position_rad <= spec.upper_rad).all()
        if len(sent) > 1:
            step = np.abs(command.position_rad - sent[-2].position_rad).max()
            assert step <= spec.safety.command_step_rad + 1e-9
        assert command.is_damping == (report.state >= SafetyState.DAMP)
        if before >= SafetyState.DAMP:
            assert report.state >= before, "only arming ends DAMP, nothing ends STOPPED"
        if report.state > before:
            assert newly_counted > 0, "what made it worse was counted"
            assert report.reasons, "and is told"
        if before is SafetyState.HOLD and report.state is SafetyState.RUN:
            healthy_s = report.now_s - self._unhealthy_s
            assert healthy_s >= spec.safety.recovery_s - 1e-6, "HOLD ends after a healthy time"
        if report.state is SafetyState.HOLD and newly_counted:
            self._unhealthy_s = report.now_s


@pytest.fixture(scope="session")
def spec() -> RobotSpec:
    return load_robot_spec("anymal_d")


@pytest.fixture
def rig(spec: RobotSpec) -> Rig:
    return Rig(spec, stand_up_s=0.1)


@pytest.fixture
def light_rig(spec: RobotSpec) -> Callable[..., Rig]:
    """Makes rigs of robots without physics, which stand up within a tick."""

    def make(seed: int = 0, **loop_options: Any) -> Rig:
        return Rig(spec, stand_up_s=0.02, robot=LightRobot(spec, 100.0, seed), **loop_options)

    return make


@pytest.fixture
def upright(spec: RobotSpec) -> RobotState:
    """A healthy measurement at time 10."""
    return RobotState(
        base_linear_velocity_mps=np.zeros(3),
        base_angular_velocity_radps=np.zeros(3),
        projected_gravity=np.array([0.0, 0.0, -1.0]),
        joint_position_rad=spec.default_position_rad.copy(),
        joint_velocity_radps=np.zeros(12),
        joint_torque_nm=np.zeros(12),
        contact=np.zeros(8),
        received_s=10.0,
    )


@pytest.fixture
def with_value() -> Callable[..., RobotState]:
    """A copy of a state in which one entry of one field is another."""

    def change(state: RobotState, field: str, index: int, value: float) -> RobotState:
        values = getattr(state, field).copy()
        values[index] = value
        return replace(state, **{field: values})

    return change
