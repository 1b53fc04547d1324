"""A robot that stands, and a monitor whose forecasts anybody can make."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from rwmu_deploy.contract.bundle_world_model import OneStepForecast
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.monitor_calibration import MonitorCalibration, Threshold
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.evaluation.monitor.monitored_walk import MonitoredRobot

sys.path.insert(0, str(Path(__file__).parent))  # for walked


class NothingChanges:
    """A world model of two members that expects the state to stay as it is."""

    def empty_memory(self) -> tuple:
        return ()

    def step(self, state, action, memory) -> tuple[OneStepForecast, tuple]:
        state = np.asarray(state, dtype=np.float64)
        return OneStepForecast(state, state, np.full(state.size, 0.01), 0.0), ()


@pytest.fixture
def calibration(spec: RobotSpec) -> MonitorCalibration:
    """Velocities of the base may change by 0.1 m/s a step, joint positions by 0.02 rad."""
    columns = TransitionColumns.of(spec)
    size = columns.state_size
    floor = np.full(size, 100.0)
    floor[columns.base_linear_velocity_mps.slice] = 0.1
    floor[columns.joint_position_offset_rad.slice] = 0.02
    return MonitorCalibration(
        rows=10_000,
        quantile=0.9999,
        recorded_by="nobody",
        history_rows=25,
        error_floor=floor,
        jump_limit=np.ones(size),
        drift_mean=np.zeros(size),
        drift_precision=np.eye(size),
        uncertainty=Threshold(1.0, 1.3),
        jump=Threshold(1.5, math.inf),
        drift=Threshold(1000.0, math.inf),
    )


@pytest.fixture
def stands(spec: RobotSpec, calibration: MonitorCalibration) -> MonitoredRobot:
    return MonitoredRobot(
        spec=spec,
        policy=lambda observation: np.zeros(spec.joint_count),
        command_range=CommandRange((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)),
        training_range=None,
        world_model=NothingChanges(),
        calibration=calibration,
    )
