"""Robots that walk, each followed by a monitor of its own, as on the robot.

T = control steps, N = robots, B = plain distances, O = observation size, A = action size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.action import action_bounds
from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.monitor_calibration import MonitorCalibration
from rwmu_deploy.contract.observation import build_observation
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.runtime.uncertainty_monitor import Forecaster, MonitorLevel, UncertaintyMonitor
from rwmu_deploy.simulation.robot_batch import ResetRange, RobotBatch
from rwmu_deploy.simulation.robot_variant import RobotVariant
from rwmu_train.evaluation.monitor.command_schedule import command_schedule
from rwmu_train.evaluation.monitor.disturbances import Disturbance
from rwmu_train.evaluation.monitor.observation_distance import ObservationDistance

FloatArray = NDArray[np.float64]
OnStep = Callable[[int, int], None]
"""Told the step and how many there are."""

STATISTICS = ("uncertainty", "jump", "drift")
OVER = -1
"""In place of a level after the robot fell."""
# As after standing up.
_AT_REST = ResetRange(base_velocity=0.0, joint_factor=(1.0, 1.0))
_PUSH_STREAM = 0x50555348


@dataclass(frozen=True)
class MonitoredRobot:
    """Everything that a bundle with a monitor brings."""

    spec: RobotSpec
    policy: Callable[[NDArray[np.float32]], FloatArray]
    """Observation (O,) to action (A,)."""
    command_range: CommandRange
    training_range: TrainingRange | None
    """Of the policy's observations."""
    world_model: Forecaster
    calibration: MonitorCalibration


@dataclass(frozen=True)
class Course:
    """Which robots walk, how long, and what happens to them."""

    variant: RobotVariant
    robots: int
    steps: int
    seed: int
    """Of commands, of what the variant draws, of the push's direction."""
    disturbance: Disturbance | None = None
    onset_step: int = 0
    """The first step under the disturbance."""
    acts: bool = False
    """Whether the monitor shrinks the velocity command."""


@dataclass(frozen=True)
class MonitoredWalk:
    """What was seen. A robot's part ends with its fall."""

    control_dt_s: float
    statistics: NDArray[np.float32]
    """As STATISTICS, over their thresholds of caution; NaN after the fall, infinite where they
    were no number before it, shape (T, N, 3)."""
    level: NDArray[np.int8]
    """MonitorLevel, OVER after the fall, shape (T, N)."""
    command_factor: NDArray[np.float32]
    """Of the velocity command, as asked for, shape (T, N)."""
    distance: NDArray[np.float32]
    """Plain distances, NaN after the fall, shape (T, N, B)."""
    fall_step: NDArray[np.int64]
    """Step at whose end the robot fell, -1 without one, shape (N,)."""

    @property
    def end_step(self) -> NDArray[np.int64]:
        """Steps of every robot, the one that ended in its fall among them, shape (N,)."""
        return np.where(self.fall_step < 0, len(self.level), self.fall_step + 1)


def monitored_walk(
    robot: MonitoredRobot,
    course: Course,
    distances: Sequence[ObservationDistance],
    on_step: OnStep = lambda step, steps: None,
) -> MonitoredWalk:
    """Let robots walk, and their monitors watch.

    A robot that is lost without a disturbance starts afresh, as its operator would have it.

    Args:
        robot: Policy and monitor.
        course: What happens.
        distances: Plain distances to compute beside, B.
        on_step: Told the step and how many there are.
    """
    n, steps = course.robots, course.steps
    monitors = [
        UncertaintyMonitor(robot.world_model, robot.calibration, robot.spec.control_dt_s)
        for _ in range(n)
    ]
    statistics = np.full((steps, n, len(STATISTICS)), np.nan, dtype=np.float32)
    level = np.full((steps, n), OVER, dtype=np.int8)
    factor = np.ones((steps, n), dtype=np.float32)
    distance = np.full((steps, n, len(distances)), np.nan, dtype=np.float32)
    wanted = command_schedule(robot.command_range, steps, n, robot.spec.control_dt_s, course.seed)
    with _Walkers(robot, course) as walkers:
        for step in range(steps):
            disturbed = course.disturbance is not None and step >= course.onset_step
            if course.disturbance is not None and step == course.onset_step:
                walkers.disturb(course.disturbance)
            scale = factor[step - 1] if course.acts and step else np.ones(n)
            observation, action = walkers.decide(wanted[step] * scale[:, None])
            for b, plain in enumerate(distances):
                distance[step, walkers.up, b] = plain.of(observation[walkers.up])
            for i in np.flatnonzero(walkers.up):
                reading = monitors[i].step(walkers.state[i], action[i])
                statistics[step, i] = [getattr(reading, name) for name in STATISTICS]
                level[step, i], factor[step, i] = reading.level, reading.command_factor
                if reading.level is MonitorLevel.LOST and not disturbed:
                    monitors[i].reset()
            walkers.move(action, step)
            on_step(step + 1, steps)
            if not walkers.up.any():
                break
    alive = level != OVER
    statistics[alive] = np.nan_to_num(statistics[alive], nan=np.inf, posinf=np.inf)
    return MonitoredWalk(
        robot.spec.control_dt_s, statistics, level, factor, distance, walkers.fall_step
    )


def ordinary_distance(
    robot: MonitoredRobot, course: Course, on_step: OnStep = lambda step, steps: None
) -> ObservationDistance:
    """Mean and spread of observations while robots walk, from all steps before falls."""
    dt_s = robot.spec.control_dt_s
    wanted = command_schedule(robot.command_range, course.steps, course.robots, dt_s, course.seed)
    seen: list[NDArray[np.float32]] = []
    with _Walkers(robot, course) as walkers:
        for step in range(course.steps):
            observation, action = walkers.decide(wanted[step])
            seen.append(observation[walkers.up])
            walkers.move(action, step)
            on_step(step + 1, course.steps)
    return ObservationDistance.from_range(TrainingRange.of(np.concatenate(seen)))


class _Walkers:
    """The simulated robots of a course, and their policies. Use as a context."""

    def __init__(self, robot: MonitoredRobot, course: Course) -> None:
        self._robot, self._course = robot, course
        self._columns = TransitionColumns.of(robot.spec)
        self._bounds = action_bounds(robot.spec)
        self._batch = self._simulated(course.variant)
        self._last_action = np.zeros((course.robots, robot.spec.joint_count))
        self.state = self._batch.state()
        """As measured, shape (N, S)."""
        self.up = np.ones(course.robots, dtype=np.bool_)
        """Whether a robot has not fallen, shape (N,)."""
        self.fall_step = np.full(course.robots, -1, dtype=np.int64)

    def disturb(self, disturbance: Disturbance) -> None:
        """Let it happen before the next step."""
        if disturbance.lasts:
            before, variant = self._batch, disturbance.becomes(self._course.variant)
            self._batch = self._simulated(variant)
            self._batch.take_over(before)
            before.close()
            return
        n = self._course.robots
        rng = np.random.default_rng([_PUSH_STREAM, self._course.seed])
        towards = rng.uniform(-np.pi, np.pi, n)
        velocity = disturbance.push_mps * np.stack([np.cos(towards), np.sin(towards)], axis=1)
        self._batch.push(np.arange(n), velocity)

    def decide(self, command: FloatArray) -> tuple[NDArray[np.float32], FloatArray]:
        """Observations (N, O) under velocity commands (N, 3), and actions within limits (N, A)."""
        observation = build_observation(self._columns, self.state, command, self._last_action)
        action = np.zeros_like(self._last_action)
        for i in np.flatnonzero(self.up):
            action[i] = np.clip(self._robot.policy(observation[i]), *self._bounds)
        return observation, action

    def move(self, action: FloatArray, step: int) -> None:
        """One control step of all robots."""
        outcome = self._batch.step(action)
        self.state, self._last_action = outcome.state, action
        self.fall_step[self.up & outcome.fell] = step
        self.up &= ~outcome.fell

    def __enter__(self) -> _Walkers:
        return self

    def __exit__(self, *_: Any) -> None:
        self._batch.close()

    def _simulated(self, variant: RobotVariant) -> RobotBatch:
        return RobotBatch(
            self._robot.spec,
            self._course.robots,
            seed=self._course.seed,
            reset_range=_AT_REST,
            variant=variant,
        )
