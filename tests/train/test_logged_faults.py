"""T-30: what a robot logged under faults is read without a window that crosses one."""

import contextlib
import errno
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rwmu_deploy.collection.disk import Disk
from rwmu_deploy.collection.transition_logger import TransitionLogger
from rwmu_deploy.contract.action import action_from_target
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import RobotLinkError
from rwmu_deploy.contract.robot_state import JointCommand, RobotState
from rwmu_deploy.runtime.control_loop import ControlLoop
from rwmu_deploy.runtime.safety_monitor import SafetyState
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.normaliser import released_normaliser
from rwmu_train.transitions.windows import window_starts
from rwmu_train.world_model.settings import WORLD_MODEL_PRESETS
from rwmu_train.world_model.training import train_world_model

WINDOW = 40
"""History and forecast of the world model."""


class RefusingDisk(Disk):
    """Refuses one row in a hundred, half written."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def write(self, descriptor: int, data: bytes) -> int:
        if b"R," in data[:2] and self._rng.random() < 0.01:
            super().write(descriptor, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "no space left")
        return super().write(descriptor, data)


class FaultyRobot:
    """The simulated robot behind a link that loses, freezes and garbles measurements."""

    def __init__(self, spec, rng: np.random.Generator) -> None:
        self.robot = SimulatedRobot(spec)
        self.received: list[np.ndarray | None] = []
        """What it was told, one a tick: a target, or None to damp."""
        self._rng = rng
        self._silent = 0
        self._last: RobotState | None = None

    def latest_state(self) -> RobotState | None:
        if self._silent > 0:
            self._silent -= 1
            return self._last
        if self._rng.random() < 0.005:
            self._silent = int(self._rng.integers(1, 8))
            return self._last
        state = self.robot.latest_state()
        if self._rng.random() < 0.005:
            return replace(state, joint_velocity_radps=np.full(12, np.nan))
        self._last = state
        return state

    def send(self, command: JointCommand) -> None:
        self.robot.send(command)
        self.received.append(None if command.is_damping else command.position_rad.copy())


class Fidget:
    """Stands and moves a little; one answer in two hundred is no number."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._step = 0

    def action(self, observation: np.ndarray) -> np.ndarray:
        self._step += 1
        if self._rng.random() < 0.005:
            return np.full(12, np.nan)
        return 0.1 * np.sin(0.3 * self._step + np.arange(12))


@pytest.mark.parametrize("seed", range(3))
def test_windows_cross_no_fault_and_actions_are_those_received(
    spec, tmp_path: Path, seed: int, trials
) -> None:
    rng = np.random.default_rng(seed)
    link, now_s = FaultyRobot(spec, rng), 0.0
    logger = TransitionLogger(
        tmp_path,
        spec,
        source="sim",
        may_wait=True,
        disk=RefusingDisk(rng.spawn(1)[0]),
        rows_per_segment=300,
    )
    loop = ControlLoop(
        spec,
        Fidget(rng),
        link,
        command_range=CommandRange((0, 0, 0), (1, 1, 1)),
        stand_up_s=0.2,
        on_tick=logger.on_tick,
    )
    tick_of: dict[bytes, int] = {}
    time_of: list[float] = []
    is_sound: list[bool] = []
    for _ in range(3000):
        skipped = int(rng.integers(1, 4)) if rng.random() < 0.005 else 0
        now_s += spec.control_dt_s * (1 + skipped)
        link.robot.advance(now_s)
        if loop.state is SafetyState.DAMP:
            with contextlib.suppress(RobotLinkError):
                loop.arm(now_s)
        report = loop.tick(now_s, skipped)
        time_of.append(now_s)
        is_sound.append(report.is_walking and skipped == 0)
        if report.robot_state is not None and report.fresh:
            state = report.robot_state.vector(spec).astype(np.float32)
            tick_of[state.tobytes()] = len(time_of) - 1
    loop.stop("end")
    summary = logger.close()
    assert len(link.received) == len(time_of) + 1, "one command a tick, and the one of the stop"

    data = load_dataset(tmp_path, spec)
    ticks = np.array([tick_of[row.tobytes()] for row in data.states])
    assert data.row_count == summary.rows > 300
    assert summary.dropped_by_cause["disk_refused"] > 0
    assert {"hold", "stale_measurement", "off_grid"} <= set(summary.gap_ticks)

    # Every row: the action that the simulated robot received one tick before, to the last bit.
    before = [link.received[tick - 1] for tick in ticks]
    assert all(position is not None for position in before)
    sent = action_from_target(spec, np.array(before)).astype(np.float32)
    np.testing.assert_array_equal(data.actions.view(np.uint32), sent.view(np.uint32))

    starts = window_starts(data, WINDOW)
    assert len(starts) > 50
    for start in starts:
        inside = ticks[start : start + WINDOW]
        assert (np.diff(inside) == 1).all(), "a window crosses a tick that left no row"
        periods = np.diff([time_of[tick] for tick in inside])
        np.testing.assert_allclose(periods, spec.control_dt_s, atol=1e-9)
        assert all(is_sound[tick] for tick in inside[1:])
    trials("T-30", len(starts))

    if seed == 0:
        tiny = replace(WORLD_MODEL_PRESETS["quick"], iterations=1, batch_size=20, validate_every=1)
        _, after = train_world_model(
            data, released_normaliser(spec), tiny, tmp_path / "model", seed=0
        )
        assert after.iteration == 1
