"""Which ticks become rows, and what a row says.

Row t = state_t, the action that produced it (applied in tick t-1), contact_t, termination_t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.collection.row_gap import GapCause, MissingRow
from rwmu_deploy.collection.tick_line import TickNote
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import JointCommand, RobotState
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.runtime.safety_monitor import SafetyState

_PERIOD_TOLERANCE = 0.25
"""Share of the control period by which two ticks in a row may be off."""


class LoggedTick(Protocol):
    """What a row needs to know of a tick; the runtime's TickReport has it."""

    @property
    def tick_index(self) -> int: ...
    @property
    def now_s(self) -> float: ...
    @property
    def phase(self) -> str: ...
    @property
    def state(self) -> SafetyState: ...
    @property
    def reasons(self) -> tuple[str, ...]: ...
    @property
    def robot_state(self) -> RobotState | None: ...
    @property
    def sensor_age_s(self) -> float: ...
    @property
    def skipped(self) -> int: ...
    @property
    def fresh(self) -> bool: ...
    @property
    def is_walking(self) -> bool: ...
    @property
    def is_stopped(self) -> bool: ...
    @property
    def fell(self) -> bool: ...
    @property
    def velocity_command(self) -> NDArray[np.float64]: ...
    @property
    def raw_action(self) -> NDArray[np.float64] | None: ...
    @property
    def applied_action(self) -> NDArray[np.float64]: ...
    @property
    def command(self) -> JointCommand: ...


@dataclass(frozen=True)
class TransitionRow:
    """One CSV row with what belongs into its sidecar."""

    values: NDArray[np.float64]
    """Shape (C,); extension columns are NaN where nobody measured them."""
    velocity_command: tuple[float, float, float]
    """The one that the policy saw at this state; on the row of a fall, the last one before."""
    begins: bool
    """Whether it is the first of an episode."""
    note: TickNote


class TransitionRows:
    """Turns ticks into rows.

    A row exists where the policy walks on a fresh state one control period after the tick before,
    which sent a position, and no point of the control grid lies between. A fall right after such a
    row becomes the last row of its episode, with termination 1. Every other tick is a missing row,
    with its cause.
    """

    def __init__(self, spec: RobotSpec) -> None:
        self._spec = spec
        self._columns = TransitionColumns.of(spec)
        self._previous: LoggedTick | None = None
        self._last_command: tuple[float, float, float] | None = None
        self._start_s: float | None = None

    def take(self, tick: LoggedTick) -> TransitionRow | MissingRow:
        """What a tick is: a row, or a missing one."""
        previous, self._previous = self._previous, tick
        last_command, self._last_command = self._last_command, None
        if self._start_s is None and math.isfinite(tick.now_s):
            self._start_s = tick.now_s
        cause = self._cause(previous, tick)
        if tick.robot_state is None or previous is None:
            return MissingRow(cause or "no_measurement", tick.reasons, tick.skipped)
        if cause is None:
            vx, vy, wz = (float(value) for value in tick.velocity_command)
            self._last_command = (vx, vy, wz)
            begins = last_command is None
            return self._row(tick, tick.robot_state, previous, self._last_command, begins=begins)
        falls = tick.fell and tick.fresh and not tick.is_stopped
        if falls and last_command is not None and self._follows(previous, tick):
            return self._row(tick, tick.robot_state, previous, last_command, fell=True)
        return MissingRow(cause, tick.reasons, tick.skipped)

    def _cause(self, previous: LoggedTick | None, tick: LoggedTick) -> GapCause | None:
        """Why the policy's step to this tick is no row; None where it is one."""
        if tick.is_stopped:
            return "stopped"
        if tick.phase == "disarmed":
            return "not_armed"
        if tick.state is not SafetyState.RUN:
            return "hold" if tick.state is SafetyState.HOLD else "damp"
        if tick.phase == "stand_up":
            return "stand_up"
        if tick.robot_state is None:
            return "no_measurement"
        if not tick.is_walking:
            return "stale_measurement"
        if previous is None:
            return "first_tick"
        if previous.command.is_damping:
            return "after_damping"
        return None if self._follows(previous, tick) else "off_grid"

    def _follows(self, previous: LoggedTick, tick: LoggedTick) -> bool:
        period_s = tick.now_s - previous.now_s
        allowed_s = _PERIOD_TOLERANCE * self._spec.control_dt_s
        return (
            tick.tick_index == previous.tick_index + 1
            and tick.skipped == 0
            and abs(period_s - self._spec.control_dt_s) <= allowed_s
            and not previous.command.is_damping
        )

    def _row(
        self,
        tick: LoggedTick,
        state: RobotState,
        previous: LoggedTick,
        velocity_command: tuple[float, float, float],
        *,
        begins: bool = False,
        fell: bool = False,
    ) -> TransitionRow:
        values = np.zeros(self._columns.count)
        values[self._columns.state] = state.vector(self._spec)
        values[self._columns.action.slice] = previous.applied_action
        values[self._columns.extension.slice] = state.extension if state.extension.size else np.nan
        values[self._columns.contact.slice] = state.contact
        values[self._columns.termination.slice] = float(fell)
        note = TickNote(
            time_s=tick.now_s - (tick.now_s if self._start_s is None else self._start_s),
            sensor_age_s=tick.sensor_age_s,
            state=tick.state.name,
            phase=tick.phase,
            raw_action=previous.raw_action,
            reasons=tick.reasons,
        )
        return TransitionRow(values, velocity_command, begins, note)
