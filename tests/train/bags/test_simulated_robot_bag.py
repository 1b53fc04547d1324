"""A bag of the simulated robot's topics gives the rows that were logged beside it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from written_bags import (
    Entry,
    command,
    edited,
    imu,
    joint_state,
    nanoseconds,
    odometry,
    table,
    twist,
)

from rwmu_deploy.contract.action import action_from_target
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import RobotState, position_command
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.simulation.simulated_robot import SimulatedRobot
from rwmu_train.transitions.verdict import judge

SENSOR_PERIOD_S = 0.005
"""The physics step: nothing new happens in between."""
SECONDS = 8.0


@dataclass(frozen=True)
class Session:
    """What a recorder heard, and what a logger in the control loop wrote."""

    entries: list[Entry]
    rows: np.ndarray
    """Row i is of tick i + 1."""


def sensor_entries(spec: RobotSpec, state: RobotState, t: float) -> list[Entry]:
    gx, gy, gz = state.projected_gravity
    wxyz = np.array([1.0 - gz, -gy, gx, 0.0])
    wxyz /= np.linalg.norm(wxyz)
    rate = state.base_angular_velocity_radps
    origin = state.base_linear_velocity_mps - np.cross(rate, spec.simulation.base_com_in_base_m)
    names = sorted(spec.joint_names)
    order = [spec.joint_names.index(name) for name in names]
    return [
        joint_state(
            t,
            names,
            state.joint_position_rad[order],
            state.joint_velocity_radps[order],
            state.joint_torque_nm[order],
        ),
        imu(t, wxyz, rate),
        odometry(t, origin),
        table("/contacts", t, spec.contact_names, "contact", state.contact[:, None]),
    ]


@pytest.fixture(scope="session")
def session(spec: RobotSpec) -> Session:
    """The robot under smooth random targets, sent at 50 Hz, sensed at 200 Hz."""
    rng = np.random.default_rng(0)
    robot = SimulatedRobot(spec)
    columns = TransitionColumns.of(spec)
    action, target = np.zeros(spec.joint_count), spec.default_position_rad
    entries: list[Entry] = []
    rows: list[np.ndarray] = []
    per_tick = round(spec.control_dt_s / SENSOR_PERIOD_S)
    for step in range(round(SECONDS / SENSOR_PERIOD_S)):
        t = step * SENSOR_PERIOD_S
        robot.advance(t)
        state = robot.latest_state()
        entries += sensor_entries(spec, state, t)
        if step % per_tick == 0:
            row = np.zeros(columns.count)
            row[columns.state] = state.vector(spec)
            row[columns.action.slice] = action_from_target(spec, target)
            row[columns.contact.slice] = state.contact
            rows.append(row)
            action = 0.8 * action + 0.15 * rng.normal(size=spec.joint_count)
            target = spec.default_position_rad + spec.action_scale * action
            robot.send(position_command(spec, target))
            entries += [command(t, spec, target), twist(t, (0.1, 0.0, 0.0))]
    return Session(entries, np.array(rows[1:]))


def delayed(entries: list[Entry], delay_s: Callable[[Entry], float]) -> list[Entry]:
    """As a recorder gets the messages; stamps stay."""
    late = [replace(entry, received_s=entry.received_s + delay_s(entry)) for entry in entries]
    return sorted(late, key=lambda entry: entry.received_s)


def test_the_rows_are_those_of_a_logger_in_the_loop(
    session: Session, imported: Callable[..., Any]
) -> None:
    found = imported(session.entries, source="sim")
    assert_allclose(found.dataset.rows, session.rows, atol=1e-5, rtol=1e-6)
    verdict = judge(found.dataset)
    assert verdict.problems == ()
    assert verdict.time_alignment.status == "aligned"
    assert verdict.time_alignment.evidence == "torque"
    assert verdict.time_alignment.torque_gain_ratio == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("offset_s", [0.0, 0.06])
def test_delays_and_another_clock_of_the_recorder_change_rows_little(
    offset_s: float, session: Session, columns: TransitionColumns, imported: Callable[..., Any]
) -> None:
    """Sensors heard 0.5 to 3 ms late, commands 1 to 3 ms, by a clock that may be 3 rows off."""
    rng = np.random.default_rng(1)
    late = delayed(
        session.entries,
        lambda e: (
            offset_s + float(rng.uniform(*((1e-3, 3e-3) if e.stamp_s is None else (5e-4, 3e-3))))
        ),
    )
    found = imported(late, source="sim")
    rows = found.dataset.rows
    logged = session.rows[: len(rows)]
    assert len(session.rows) - len(rows) <= 4
    action = columns.action.slice
    assert_allclose(rows[:, action], logged[:, action], atol=1e-6, rtol=0)
    position, torque = columns.joint_position_offset_rad.slice, columns.joint_torque_nm.slice
    assert np.abs(rows[:, position] - logged[:, position]).max() < 2e-3
    assert np.std(rows[:, torque] - logged[:, torque]) < 0.05 * np.std(logged[:, torque])
    assert found.report.receipt_lag_s == pytest.approx(offset_s + 1.75e-3, abs=3e-4)
    assert judge(found.dataset).time_alignment.status == "aligned"


def test_a_clock_that_drifts_moves_no_action_to_another_row(
    session: Session, columns: TransitionColumns, imported: Callable[..., Any]
) -> None:
    """250 ppm: the phase of the targets begins at 11.3 ms and moves by 2 ms in 8 s."""
    shifted = [
        replace(e, received_s=s, stamp_s=None if e.stamp_s is None else s)
        for e in session.entries
        for s in [0.0113 + e.received_s * (1.0 + 2.5e-4)]
    ]
    found = imported(shifted, source="sim")
    actions = found.dataset.rows[:, columns.action.slice]
    assert len(actions) >= len(session.rows) - 1
    assert_allclose(actions, session.rows[: len(actions), columns.action.slice], atol=1e-6, rtol=0)
    assert judge(found.dataset).time_alignment.status == "aligned"


@pytest.mark.parametrize("ticks", [-1, 1])
def test_commands_recorded_a_tick_off_are_found_misaligned(
    ticks: int, session: Session, imported: Callable[..., Any]
) -> None:
    """The check that the other tests rely on can fail."""
    moved = edited(
        session.entries,
        "/joint_command",
        lambda e: replace(e, received_s=e.received_s + 0.02 * ticks),
    )
    moved = [e for e in moved if nanoseconds(e.received_s) >= nanoseconds(0.0)]
    found = imported(sorted(moved, key=lambda e: e.received_s), source="sim")
    assert judge(found.dataset).time_alignment.status == "misaligned"


def test_estimated_torques_are_those_that_the_drives_applied(
    session: Session, columns: TransitionColumns, imported: Callable[..., Any]
) -> None:
    """Up to a physics step: the drive's torque is of the step that led to the state."""
    found = imported(session.entries, torque="pd", source="sim")
    torque = columns.joint_torque_nm.slice
    error = found.dataset.rows[:, torque] - session.rows[:, torque]
    assert np.sqrt(np.mean(np.square(error))) < 0.1 * np.std(session.rows[:, torque])
