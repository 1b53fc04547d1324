"""Segments to read: random rows, and rows of joints that answer to their actions."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from rwmu_deploy.collection.row_gap import MissingRow, RowGap
from rwmu_deploy.collection.segment_log import PlacedGap, SegmentLog
from rwmu_deploy.collection.tick_line import TickNote, tick_line
from rwmu_deploy.collection.transition_segment import EpisodeSpan, SegmentOrigin, write_segment
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.contract.transition_columns import TransitionColumns

ORIGIN = SegmentOrigin("sim", "simulated", "simulated", "simulated")
STILL = (0.0, 0.0, 0.0)


@pytest.fixture(scope="session")
def spec() -> RobotSpec:
    return load_robot_spec("anymal_d")


@pytest.fixture(scope="session")
def columns(spec: RobotSpec) -> TransitionColumns:
    return TransitionColumns.of(spec)


@pytest.fixture
def random_rows(columns: TransitionColumns) -> Callable[..., np.ndarray]:
    """Rows of noise that no episode ends in."""

    def make(count: int, seed: int = 0) -> np.ndarray:
        rows = np.random.default_rng(seed).normal(size=(count, columns.count))
        rows[:, columns.contact.slice] = rows[:, columns.contact.slice] > 0.0
        rows[:, columns.termination.slice] = 0.0
        return rows.astype(np.float32)

    return make


@pytest.fixture
def segment(tmp_path: Path, spec: RobotSpec) -> Callable[..., Path]:
    """Writes a segment into a folder; whole episode of one command unless spans are given."""

    def make(rows: np.ndarray, spans: Sequence[EpisodeSpan] = (), folder: str = "data") -> Path:
        spans = spans or [EpisodeSpan(0, len(rows) - 1, "truncated", STILL)]
        return write_segment(tmp_path / folder, spec, rows, spans, ORIGIN)

    return make


@pytest.fixture
def walking_rows(spec: RobotSpec, columns: TransitionColumns) -> Callable[..., np.ndarray]:
    """Joints that go 0.3 of the way to their target in a step, under random actions.

    With `torque` the joints are disturbed too, and their torque obeys the joint controller's law;
    without, torque is noise.
    """

    def make(count: int, *, torque: bool, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        rows = np.zeros((count, columns.count))
        actions = rng.normal(0.0, 0.3, (count, spec.joint_count))
        offset = np.zeros((count, spec.joint_count))
        for t in range(1, count):
            target = spec.action_scale * actions[t]
            offset[t] = offset[t - 1] + 0.3 * (target - offset[t - 1])
            if torque:
                offset[t] += rng.normal(0.0, 0.01, spec.joint_count)
        velocity = np.diff(offset, axis=0, prepend=0.0) / spec.control_dt_s
        rows[:, columns.base_linear_velocity_mps.slice] = rng.normal(0, 0.3, (count, 3))
        rows[:, columns.base_angular_velocity_radps.slice] = rng.normal(0, 0.3, (count, 3))
        gravity = np.array([0.0, 0.0, -1.0]) + rng.normal(0.0, 0.02, (count, 3))
        rows[:, columns.projected_gravity.slice] = gravity / np.linalg.norm(
            gravity, axis=1, keepdims=True
        )
        rows[:, columns.joint_position_offset_rad.slice] = offset
        rows[:, columns.joint_velocity_radps.slice] = velocity
        rows[:, columns.joint_torque_nm.slice] = (
            spec.kp_nm_per_rad * (spec.action_scale * actions - offset)
            - spec.kd_nms_per_rad * velocity
            if torque
            else rng.normal(0.0, 10.0, (count, spec.joint_count))
        )
        rows[:, columns.action.slice] = actions
        rows[:, columns.contact.slice] = rng.random((count, 8)) < 0.5
        return rows.astype(np.float32)

    return make


@pytest.fixture
def logged(tmp_path: Path, spec: RobotSpec, random_rows: Callable[..., np.ndarray]) -> Path:
    """A segment of six rows as a logger writes it: with ticks, and a gap after row 2."""
    gap = RowGap().plus(MissingRow("hold", ("sensor_age: 0.07 s, allowed is 0.06 s",)))
    raw = np.full(spec.joint_count, 0.25)
    lines = [tick_line(TickNote(0.02 * k, 0.004, "RUN", "policy", raw, ()), 12) for k in range(6)]
    return write_segment(
        tmp_path / "logged",
        spec,
        random_rows(6),
        [EpisodeSpan(0, 2, "gap", STILL), EpisodeSpan(3, 5, "truncated", STILL)],
        ORIGIN,
        log=SegmentLog("0123456789abcdef", [PlacedGap(2, gap)], lines),
    )
