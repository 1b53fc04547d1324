"""A loop among whose inputs chance reigns: robot, policy, guard and operators, seeded."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import JointCommand, RobotState
from rwmu_deploy.runtime.control_loop import ControlLoop
from rwmu_deploy.runtime.flight_record import Flight, FlightFacts
from rwmu_deploy.runtime.flight_recorder import FlightRecorder
from rwmu_deploy.runtime.safety_monitor import SafetyDecision, SafetyMonitor, SafetyState, Verdict
from rwmu_deploy.runtime.tick_report import TickReport
from rwmu_deploy.runtime.uncertainty_monitor import MonitorLevel, MonitorReading

_, HOLD, DAMP, _ = SafetyState
RANGE = CommandRange((-0.5, -0.3, -1.0), (1.0, 0.3, 1.0))
SEEN = TrainingRange((-20.0,) * 48, (0.0,) * 48, (20.0,) * 48, (1.0,) * 48)


class Chance(SafetyMonitor):
    """A monitor whose n-th look is interrupted: what a stop from another thread can do."""

    def __init__(self, recovery_s: float) -> None:
        super().__init__(recovery_s)
        self.looks_left = -1
        self.interrupt: Callable[[], None] = lambda: None

    @property
    def decision(self) -> SafetyDecision:
        self.looks_left -= 1
        if self.looks_left == 0:
            self.interrupt()
        return super().decision


class DrawnGuard:
    """A guard that says what chance tells it."""

    def __init__(self, rng: np.random.Generator, danger: float) -> None:
        self.rng, self.danger = rng, danger
        self.reading: MonitorReading | None = None

    @property
    def command_factor(self) -> float:
        return float(self.rng.random())

    def verdicts(self, now_s: float) -> list[Verdict]:
        if self.rng.random() < self.danger / 2:
            raise RuntimeError("the guard broke")
        if self.rng.random() < self.danger:
            return [Verdict(DAMP, "left_its_data", f"lost at {now_s}")]
        return []

    def step(self, now_s, state, action, *, fresh) -> str | None:
        self.reading = MonitorReading(
            MonitorLevel.CAUTION, True, *self.rng.random(4).tolist(), 0.5
        )
        return "monitor_caution" if self.rng.random() < 0.1 else None

    def gap(self) -> None:
        self.reading = None

    def reset(self) -> None: ...


class Drawn:
    """A robot, a policy and operators that do whatever chance tells them, tick after tick."""

    def __init__(self, spec: RobotSpec, upright: RobotState, seed: int, danger: float) -> None:
        self.rng = np.random.default_rng(seed)
        self.danger = danger
        self.spec, self.upright = spec, upright
        self.now_s = 10.0
        self.sample = upright
        self.flights: list[Flight] = []
        guarded = seed % 3 == 0
        self.facts = FlightFacts(
            spec,
            RANGE,
            stand_up_s=0.1,
            observation_range=SEEN if seed % 2 else None,
            monitor="act" if guarded else "off",
        )
        self.recorder = FlightRecorder(self.facts, self.flights.append)
        self.reports: list[TickReport] = []
        self.loop = ControlLoop(
            spec,
            self,
            self,
            command_range=RANGE,
            stand_up_s=0.1,
            guard=DrawnGuard(self.rng, danger / 5) if guarded else None,
            observation_range=self.facts.observation_range,
            conditions=self.conditions,
            on_tick=self.reports.append,
            witness=self.recorder,
        )
        self.chance = Chance(spec.safety.recovery_s)
        self.loop._monitor = self.chance

    def happens(self, share: float = 1.0) -> bool:
        return bool(self.rng.random() < self.danger * share)

    def latest_state(self) -> RobotState | None:
        if self.happens():
            raise OSError(f"cable {self.rng.integers(3)}")
        return None if self.happens() else self.sample

    def send(self, command: JointCommand) -> None:
        if self.happens(0.1):
            raise OSError("bus off")

    def action(self, observation: np.ndarray) -> np.ndarray:
        if self.happens():
            raise ValueError("no such joint")
        if self.happens():
            return [np.zeros(11), np.full(12, np.nan), "left", np.full(12, 1e9), None][  # type: ignore[return-value]
                self.rng.integers(5)
            ]
        return self.rng.normal(0.0, 0.3, 12)

    def conditions(self) -> list[Verdict]:
        return [Verdict(HOLD, "log_failed", "disk full")] if self.happens(0.5) else []

    def measure(self) -> None:
        """The next sample; or none, an old one, a bent one."""
        if self.happens(2.0):
            return
        rng = self.rng
        sample = replace(
            self.upright,
            joint_position_rad=self.spec.default_position_rad + rng.normal(0.0, 0.01, 12),
            joint_velocity_radps=rng.normal(0.0, 0.1, 12),
            joint_torque_nm=rng.normal(0.0, 5.0, 12),
            base_linear_velocity_mps=rng.normal(0.0, 0.1, 3),
            base_angular_velocity_radps=rng.normal(0.0, 0.1, 3),
            contact=(rng.random(8) < 0.5).astype(float),
            received_s=self.now_s - 0.004 * rng.random(),
        )
        if self.happens():
            field = str(rng.choice(["joint_position_rad", "joint_torque_nm", "projected_gravity"]))
            values = getattr(sample, field).copy()
            values[rng.integers(len(values))] = rng.choice([np.nan, np.inf, 1e30, -0.0, 3.0])
            sample = replace(sample, **{field: values})
        if self.happens():
            late_s = rng.choice([-3600.0, 0.5, 3600.0, math.nan, -0.1])
            sample = replace(sample, received_s=self.now_s + late_s)
        if self.happens(0.5):
            sample = replace(sample, contact=np.zeros(7))
        if self.happens(0.5):
            sample = replace(sample, projected_gravity=np.array([0.0, -np.sin(1.0), -np.cos(1.0)]))
        self.sample = sample

    def operate(self) -> None:
        if self.loop.state is DAMP and self.rng.random() < 0.3:
            try:
                self.loop.arm(self.now_s)
            except RobotLinkError:
                return
        if self.happens(0.3):
            self.loop.disarm("operator")
        if self.rng.random() < 0.2:
            self.loop.set_velocity_command(self.rng.normal(0.0, 1.0, 3), self.now_s)
        if self.happens(0.3):
            self.loop.set_velocity_command([math.nan, 0.0, 0.0], self.now_s)
        if self.happens(0.05):
            self.loop.stop("operator")
        if self.happens(0.3):
            self.chance.looks_left = int(self.rng.integers(1, 12))
            self.chance.interrupt = lambda: self.loop.stop("in mid-tick")

    def drive(self, ticks: int) -> None:
        for _ in range(ticks):
            skipped = int(self.rng.integers(1, 4)) if self.happens(2.0) else 0
            self.now_s += 0.02 * (1 + skipped) + self.rng.normal(0.0, 1e-4)
            if self.happens(0.1):
                self.now_s -= 1.0
            self.measure()
            self.operate()
            self.loop.tick(math.nan if self.happens(0.05) else self.now_s, skipped)

    def run(self, ticks: int) -> Flight:
        """The flight of so many ticks, which ends in a stop."""
        self.drive(ticks)
        self.loop.stop("the end")
        self.loop.tick(self.now_s)
        flight = self.recorder.cut() or self.flights[-1]
        assert self.recorder.failures == 0
        return flight
