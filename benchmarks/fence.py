"""Robots that walk by themselves, many at once: do they stay inside, and what do they cover?

    python benchmarks/fence.py --minutes 1000

Simulated field robots (payload, friction, weak drives, encoder errors, delay) with pushes walk
with the shipped bundle inside a fence, by `AutonomousWalk`, on odometry that drifts in the worst
way. A robot that fell or whose origin is old is put on its mark, as an operator would. Beside it
the same robots, with commands drawn plainly at random, for the coverage. JSON at the end.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.patrol.autonomous_walk import AutonomousWalk
from rwmu_deploy.patrol.collect_plan import CollectPlan
from rwmu_deploy.patrol.collect_session import LOOK_S
from rwmu_deploy.patrol.command_scheduler import CommandScheduler
from rwmu_deploy.patrol.odometry_watch import OdometryWatch, pose_from
from rwmu_deploy.patrol.velocity_fence import VelocityFence
from rwmu_deploy.simulation.odometry_drift import OdometryDrift
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_deploy.simulation.robot_variant import find_variant
from rwmu_train.environment.observation_torch import build_observation
from rwmu_train.reference.bundle_policy import load_bundle_policy

FloatArray = NDArray[np.float64]
SHIPPED = Path(__file__).resolve().parents[1] / "exports" / "anymal_d_flat"
PUSH_MPS = 0.5
PUSH_EVERY_S = 10.0


class PlainScheduler(CommandScheduler):
    """Uniform draws, for comparison."""

    def proposals(self, count: int) -> FloatArray:
        commands = self._rng.uniform(self._range.lower, self._range.upper, (count, 3))
        if self._rng.random() < self._plan.standing_share:
            commands[0] = 0.0
        return commands


@dataclass
class Excursion:
    """A time that a robot was beyond the edge."""

    robot: int
    since_push_s: float
    mode: str
    speed_mps: float
    """When it crossed the edge."""
    lasted_s: float = 0.0
    farthest_m: float = 0.0
    fell: bool = False
    """Whether it ended in a fall: it stumbled across the edge."""


@dataclass
class Found:
    """Over all robots."""

    robot_s: float = 0.0
    outside_s: float = 0.0
    """True time beyond the edge."""
    nearest_m: float = math.inf
    """Least true distance to the edge; below 0 beyond it."""
    falls: int = 0
    marks: int = 0
    """Times that a robot was put on its mark because its origin was old."""
    excursions: list[Excursion] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)


class Flock:
    """Robots that walk side by side, each inside a fence of its own."""

    def __init__(
        self,
        spec: RobotSpec,
        command_range: CommandRange,
        plan: CollectPlan,
        options: argparse.Namespace,
        scheduler: type[CommandScheduler],
    ) -> None:
        self._spec, self._plan, self._options = spec, plan, options
        n = options.robots
        self._batch = RobotBatch(spec, n, seed=options.seed, variant=find_variant(options.variant))
        self._rng = np.random.default_rng(options.seed)
        self._drift = OdometryDrift(options.drift, n, options.seed)
        fence = VelocityFence(plan.area, plan.response, command_range, plan.fence)
        schedulers = [scheduler(command_range, plan.schedule, options.seed + i) for i in range(n)]
        self.walks = [AutonomousWalk(fence, plan.response, s, plan.limits) for s in schedulers]
        self._watches = [OdometryWatch() for _ in range(n)]
        self._mark = np.zeros((n, 3))
        """True pose at which each robot's origin was set."""
        self._told = np.zeros((n, 3))
        self._action = np.zeros((n, spec.joint_count))
        self._columns = TransitionColumns.of(spec)
        self.found = Found()
        self._out: dict[int, Excursion] = {}
        self._pushed_s = np.full(n, -math.inf)
        self._modes = ["stand"] * n
        self._now_s = 0.0
        self._velocity = np.zeros((n, 3))
        self._set_origin(np.arange(n))

    def walk(self, act: Any, seconds: float, progress: Progress, title: str) -> None:
        """Let them walk."""
        dt_s = self._spec.control_dt_s
        steps, every = round(seconds / dt_s), round(LOOK_S / dt_s)
        bar = progress.add_task(title, total=steps)
        state = self._batch.state()
        pushed = self._rng.integers(0, round(PUSH_EVERY_S / dt_s), self._batch.count)
        for step in range(steps):
            self._now_s = step * dt_s
            if step % every == 0:
                self._look(step * dt_s, state)
            due = np.flatnonzero((step + pushed) % round(PUSH_EVERY_S / dt_s) == 0)
            if len(due):
                push = self._rng.uniform(-PUSH_MPS, PUSH_MPS, (len(due), 2))
                self._batch.push(due, push)
                self._pushed_s[due] = self._now_s
            observation = build_observation(
                self._columns,
                torch.from_numpy(state.astype(np.float32)),
                torch.from_numpy(self._told.astype(np.float32)),
                torch.from_numpy(self._action.astype(np.float32)),
            )
            self._action = act(observation).numpy().astype(np.float64)
            outcome = self._batch.step(self._action)
            state = outcome.state
            fell = np.flatnonzero(outcome.fell)
            if len(fell):
                self.found.falls += len(fell)
                for i in fell.tolist():
                    if i in self._out:
                        self._out.pop(i).fell = True
                self._batch.reset(fell)
                self._action[fell] = 0.0
                state = self._batch.state()
                self._set_origin(fell)
            self._account(dt_s)
            progress.update(bar, completed=step + 1)
        for walk in self.walks:
            self.found.events += walk.events

    def close(self) -> None:
        self._batch.close()

    def _true_pose(self) -> FloatArray:
        qpos = self._batch.generalised_position
        w, x, y, z = qpos[:, 3:7].T
        yaw = np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
        return np.stack([qpos[:, 0], qpos[:, 1], yaw], axis=-1)

    def _believed_pose(self) -> FloatArray:
        pose = self._true_pose()
        pose[:, :2] = self._drift.believed_m(pose[:, :2])
        return pose

    def _set_origin(self, robots: NDArray[np.intp]) -> None:
        true, believed = self._true_pose(), self._believed_pose()
        for i in robots:
            self._watches[i].set_origin(believed[i])
            self._mark[i] = true[i]

    def _look(self, now_s: float, state: FloatArray) -> None:
        columns, believed = self._columns, self._believed_pose()
        linear = state[:, columns.base_linear_velocity_mps.slice]
        angular = state[:, columns.base_angular_velocity_radps.slice]
        velocity = np.concatenate([linear[:, :2], angular[:, 2:]], axis=1)
        self._velocity = velocity
        for i, walk in enumerate(self.walks):
            place = self._watches[i].update(now_s, now_s, believed[i], velocity[i])
            decision = walk.update(now_s, place, velocity[i])
            self._told[i] = decision.command
            self._modes[i] = decision.mode
            if decision.needs_origin or decision.mode == "outside":
                self.found.marks += 1
                self._out.pop(i, None)
                self._set_origin(np.array([i]))

    def _account(self, dt_s: float) -> None:
        depth = self._plan.area.depth_m(pose_from(self._mark, self._true_pose())[:, :2])
        self.found.robot_s += dt_s * len(depth)
        self.found.outside_s += dt_s * float((depth < 0.0).sum())
        self.found.nearest_m = min(self.found.nearest_m, float(depth.min()))
        for i in np.flatnonzero(depth < 0.0).tolist():
            if i not in self._out:
                speed = float(np.linalg.norm(self._velocity[i, :2]))
                since_s = self._now_s - self._pushed_s[i]
                self._out[i] = Excursion(i, since_s, self._modes[i], speed)
                self.found.excursions.append(self._out[i])
            self._out[i].lasted_s += dt_s
            self._out[i].farthest_m = max(self._out[i].farthest_m, -float(depth[i]))
        for i in [i for i in self._out if depth[i] >= 0.0]:
            del self._out[i]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1000.0, help="of all robots together")
    parser.add_argument("--robots", type=int, default=100)
    parser.add_argument("--bundle", type=Path, default=SHIPPED)
    parser.add_argument("--variant", default="field")
    parser.add_argument("--drift", type=float, default=0.02)
    parser.add_argument("--schedulers", nargs="+", default=["seeking", "plain"])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    spec, plan = load_robot_spec("anymal_d"), CollectPlan()
    act = load_bundle_policy(options.bundle, spec)
    command_range = CommandRange((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))
    seconds = 60.0 * options.minutes / options.robots
    figures: dict[str, Any] = {"options": {k: str(v) for k, v in vars(options).items()}}
    with Progress() as progress:
        kinds = {"seeking": CommandScheduler, "plain": PlainScheduler}
        for name in options.schedulers:
            flock = Flock(spec, command_range, plan, options, kinds[name])
            flock.walk(act, seconds, progress, name)
            figures[name] = _figures(flock)
            flock.close()
    print(json.dumps(figures, indent=1))


def _figures(flock: Flock) -> dict[str, Any]:
    found = flock.found
    coverage = np.array([walk.scheduler.coverage() for walk in flock.walks])
    return {
        "minutes": found.robot_s / 60.0,
        "outside_s": found.outside_s,
        "nearest_to_edge_m": found.nearest_m,
        "falls": found.falls,
        "put_on_mark": found.marks,
        "walked_m": float(sum(walk.way_m for walk in flock.walks)),
        "coverage_of_a_robot": float(coverage.mean()),
        "events": dict(found.events),
        "excursions": [vars(each) for each in found.excursions],
    }


if __name__ == "__main__":
    main()
