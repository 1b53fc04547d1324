"""Time series of one bag to rows on the control grid, and to the episodes they fall into.

Row t holds the state at time t and the action that PRODUCED it: of the target that was in force
in the middle of the control period before t. N = rows, C = columns, J = joints.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.action import action_from_target, target_from_action
from rwmu_deploy.contract.errors import BagError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import gravity_in_base
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.runtime.foot_motion import FootMotion
from rwmu_train.bags.control_grid import ControlGrid, change_times, control_grid
from rwmu_train.bags.falls import find_falls
from rwmu_train.bags.import_settings import ImportSettings
from rwmu_train.bags.message_clock import TimedSeries, on_clock_of, order_in_time, without_faults
from rwmu_train.bags.message_parsers import ANGULAR_VELOCITY_COLUMNS, QUATERNION_COLUMNS
from rwmu_train.bags.message_series import FAULT_TEXT, Fault, MessageSeries
from rwmu_train.bags.resampling import Resampled, hold, interpolate

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# Names of series. The first four are needed.
JOINT_STATE, ATTITUDE, BASE_VELOCITY = "joint_state", "attitude", "odometry"
JOINT_COMMAND, COMMAND_VELOCITY, CONTACT = "joint_command", "command_velocity", "contact"
LYING = "the robot lies after a fall"


@dataclass(frozen=True, eq=False)
class BagRows:
    """What a bag holds."""

    rows: FloatArray
    """Shape (N, C), N >= 1."""
    velocity_command: FloatArray
    """vx [m/s], vy [m/s], wz [rad/s], shape (N, 3); three NaN where not known."""
    begins: BoolArray
    """Rows that are the first of an episode, shape (N,)."""
    gaps: dict[str, int]
    """Why episodes ended that the recording goes on after, and how many."""
    left_out: dict[str, int]
    """Why rows of the grid were left out, and how many."""
    locked_share: float
    """Share of the seconds with changing targets in which the grid could follow them."""
    receipt_lag_s: float
    """What was taken off times of receipt: the lag of the joint states behind their stamps."""
    timed: dict[str, TimedSeries]
    """The series as they were placed in time."""

    @property
    def left_out_share(self) -> float:
        """Share of the grid's rows that were left out."""
        lost = sum(self.left_out.values())
        return lost / (lost + len(self.rows))


def rows_of_series(
    spec: RobotSpec, series: Mapping[str, MessageSeries], settings: ImportSettings
) -> BagRows:
    """Place messages in time, resample them and put rows together.

    Raises:
        BagError: Not a single row can be made.
    """
    timed, receipt_lag_s = _place_in_time(spec, series)
    clean = {name: without_faults(one) for name, one in timed.items()}
    _refuse_unusable(timed, clean, series)
    command = clean[JOINT_COMMAND]
    grid = control_grid(
        clean[JOINT_STATE].time_s,
        change_times(command.time_s, command.values),
        period_s=spec.control_dt_s,
        max_gap_s=settings.max_gap_s,
    )
    sampled = _sample(spec, timed, clean, grid, settings.max_gap_s)
    columns = TransitionColumns.of(spec)
    rows = _values(spec, columns, sampled, settings)
    causes = _causes(sampled)
    usable = ~np.any([np.zeros(len(rows), dtype=bool), *causes.values()], axis=0)
    follows = _follows(sampled, grid, usable)
    if settings.fall_tilt_rad is not None:
        gravity = rows[:, columns.projected_gravity.slice]
        fell, lies = find_falls(gravity, usable, follows, settings.fall_tilt_rad)
        rows[:, columns.termination.start] = fell
        causes[LYING] = lies
        usable &= ~lies
        follows &= np.append(False, (usable & ~fell)[:-1])
    left_out = _count_left_out(causes, grid)
    _refuse_no_row(usable, left_out)
    terminated = rows[:, columns.termination.start] > 0.0
    return BagRows(
        rows=rows[usable],
        velocity_command=_velocity_command(spec, timed, grid)[usable],
        begins=~follows[usable],
        gaps=_count_gaps(sampled, grid, causes, usable, follows, terminated),
        left_out=left_out,
        locked_share=grid.locked_share,
        receipt_lag_s=receipt_lag_s,
        timed=timed,
    )


def _place_in_time(
    spec: RobotSpec, series: Mapping[str, MessageSeries]
) -> tuple[dict[str, TimedSeries], float]:
    """All series on one clock, and what was taken off times of receipt [s]."""
    origin_ns = min(int(one.received_ns[0]) for one in series.values())
    timed = {
        name: order_in_time(one, origin_ns, tolerance_s=spec.control_dt_s)
        for name, one in series.items()
    }
    return on_clock_of(timed[JOINT_STATE], timed)


def _refuse_unusable(
    timed: Mapping[str, TimedSeries],
    clean: Mapping[str, TimedSeries],
    series: Mapping[str, MessageSeries],
) -> None:
    for name in (JOINT_STATE, ATTITUDE, BASE_VELOCITY, JOINT_COMMAND):
        if len(clean[name].time_s) == 0:
            fault = Fault(int(timed[name].fault[0]))
            raise BagError(
                f"no message of {series[name].topic} can be used: {FAULT_TEXT[fault]}",
                fix="Record it anew, or name another topic with --topics."
                + (" Efforts are not looked at with --torque pd." if name == JOINT_STATE else ""),
            )


def _refuse_no_row(usable: BoolArray, left_out: Mapping[str, int]) -> None:
    if not usable.any():
        listed = "; ".join(f"{text}: {count}" for text, count in left_out.items())
        raise BagError(
            f"no row can be made of this bag; rows left out by reason: {listed or 'none'}",
            fix="Record all topics together for longer than a control period.",
        )


def _sample(
    spec: RobotSpec,
    timed: Mapping[str, TimedSeries],
    clean: Mapping[str, TimedSeries],
    grid: ControlGrid,
    max_gap_s: float,
) -> dict[str, Resampled]:
    """Everything that a row needs, in the order in which reasons are looked for."""
    at_s = grid.time_s
    sampled = {
        JOINT_STATE: interpolate(clean[JOINT_STATE], at_s, max_gap_s),
        ATTITUDE: interpolate(clean[ATTITUDE], at_s, max_gap_s, quaternion=QUATERNION_COLUMNS),
        BASE_VELOCITY: interpolate(clean[BASE_VELOCITY], at_s, max_gap_s),
        # Targets change at the rows, give or take their jitter; half a period before, none does.
        JOINT_COMMAND: hold(timed[JOINT_COMMAND], at_s - 0.5 * spec.control_dt_s, max_gap_s),
    }
    if CONTACT in timed:
        sampled[CONTACT] = hold(timed[CONTACT], at_s, max_gap_s)
    return sampled


def _values(
    spec: RobotSpec,
    columns: TransitionColumns,
    sampled: Mapping[str, Resampled],
    settings: ImportSettings,
) -> FloatArray:
    """Rows of the whole grid, shape (N, C); meaningless where a fault says so."""
    joints = spec.joint_count
    measured, attitude = sampled[JOINT_STATE].values, sampled[ATTITUDE].values
    position_rad, velocity_radps = measured[:, :joints], measured[:, joints : 2 * joints]
    rate_radps = attitude[:, ANGULAR_VELOCITY_COLUMNS]
    lever_m = np.array(spec.simulation.base_com_in_base_m)
    action = action_from_target(spec, sampled[JOINT_COMMAND].values)
    rows = np.zeros((len(measured), columns.count))
    rows[:, columns.base_linear_velocity_mps.slice] = sampled[BASE_VELOCITY].values + np.cross(
        rate_radps, lever_m
    )
    rows[:, columns.base_angular_velocity_radps.slice] = rate_radps
    rows[:, columns.projected_gravity.slice] = gravity_in_base(attitude[:, QUATERNION_COLUMNS])
    rows[:, columns.joint_position_offset_rad.slice] = position_rad - spec.default_position_rad
    rows[:, columns.joint_velocity_radps.slice] = velocity_radps
    rows[:, columns.joint_torque_nm.slice] = (
        pd_torque(spec, target_from_action(spec, action), position_rad, velocity_radps)
        if settings.torque == "pd"
        else measured[:, 2 * joints :]
    )
    rows[:, columns.action.slice] = action
    rows[:, columns.extension.slice] = np.nan
    FootMotion(spec).fill(rows)
    if CONTACT in sampled:
        rows[:, columns.contact.slice] = sampled[CONTACT].values
    return rows


def pd_torque(
    spec: RobotSpec, target_rad: FloatArray, position_rad: FloatArray, velocity_radps: FloatArray
) -> FloatArray:
    """Torque of the joint controllers' law within the effort limits [N m], shape (N, J)."""
    torque_nm = (
        spec.kp_nm_per_rad * (target_rad - position_rad) - spec.kd_nms_per_rad * velocity_radps
    )
    return np.clip(torque_nm, -spec.effort_limit_nm, spec.effort_limit_nm)


def _causes(sampled: Mapping[str, Resampled]) -> dict[str, BoolArray]:
    """Reason -> rows that it spoils; most spoil none."""
    found = {
        _text(name, fault): one.fault == fault
        for name, one in sampled.items()
        for fault in FAULT_TEXT
    }
    return {text: rows for text, rows in found.items() if rows.any()}


def _follows(sampled: Mapping[str, Resampled], grid: ControlGrid, usable: BoolArray) -> BoolArray:
    """Rows whose predecessor on the grid is usable and of the same epochs."""
    follows = usable[1:] & usable[:-1] & (np.diff(grid.number) == 1)
    for one in sampled.values():
        follows = follows & (np.diff(one.epoch) == 0)
    return np.append(False, follows)


def _velocity_command(
    spec: RobotSpec, timed: Mapping[str, TimedSeries], grid: ControlGrid
) -> FloatArray:
    """The newest velocity command at each row, NaN where it is missing, too old or not finite."""
    if COMMAND_VELOCITY not in timed:
        return np.full((len(grid.time_s), 3), np.nan)
    held = hold(timed[COMMAND_VELOCITY], grid.time_s, spec.safety.velocity_command_age_s)
    return np.where((held.fault == Fault.NONE)[:, None], held.values, np.nan)


def _count_left_out(causes: Mapping[str, BoolArray], grid: ControlGrid) -> dict[str, int]:
    """Rows by the first reason that spoils them."""
    counts: Counter[str] = Counter()
    counts[_text(JOINT_STATE, Fault.NO_MESSAGE)] += int(np.sum(np.diff(grid.number) - 1))
    taken = np.zeros(len(grid.number), dtype=bool)
    for text, rows in causes.items():
        counts[text] += int(np.sum(rows & ~taken))
        taken |= rows
    return {text: count for text, count in counts.items() if count > 0}


def _count_gaps(
    sampled: Mapping[str, Resampled],
    grid: ControlGrid,
    causes: Mapping[str, BoolArray],
    usable: BoolArray,
    follows: BoolArray,
    fell: BoolArray,
) -> dict[str, int]:
    """Ends of episodes between usable rows by reason; a fall is no gap."""
    kept = np.flatnonzero(usable)
    last, first = kept[:-1], kept[1:]
    is_gap = ~follows[first] & ~fell[last]
    pairs = zip(last[is_gap].tolist(), first[is_gap].tolist(), strict=True)
    return dict(Counter(_gap_reason(sampled, grid, causes, *pair) for pair in pairs))


def _gap_reason(
    sampled: Mapping[str, Resampled],
    grid: ControlGrid,
    causes: Mapping[str, BoolArray],
    last: int,
    first: int,
) -> str:
    """Why the episode of row `last` doesn't go on in row `first`, the next usable one."""
    if first > last + 1:
        return next(text for text, rows in causes.items() if rows[last + 1])
    for name, one in sampled.items():
        if one.epoch[last] != one.epoch[first]:
            return _text(name, Fault(int(one.epoch_fault[one.epoch[first]])))
    assert grid.number[first] != grid.number[last] + 1, "nothing separates these rows"
    return _text(JOINT_STATE, Fault.NO_MESSAGE)


def _text(name: str, fault: Fault) -> str:
    return f"{name}: {FAULT_TEXT[fault]}"
