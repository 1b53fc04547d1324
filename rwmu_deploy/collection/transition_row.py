"""Which ticks become rows, and what a row says.

Row t = state_t, the action that produced it (applied in tick t-1), contact_t, termination_t.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import LogError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.robot_state import JointCommand, RobotState
from rwmu_deploy.contract.transition_columns import TransitionColumns

_PERIOD_TOLERANCE = 0.25
"""Share of the control period by which two ticks in a row may be off."""


class LoggedTick(Protocol):
    """What a row needs to know of a tick; the runtime's TickReport has it."""

    @property
    def tick_index(self) -> int: ...
    @property
    def now_s(self) -> float: ...
    @property
    def robot_state(self) -> RobotState | None: ...
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
    def applied_action(self) -> NDArray[np.float64]: ...
    @property
    def command(self) -> JointCommand: ...


@dataclass(frozen=True)
class TransitionRow:
    """One CSV row with what belongs into its sidecar."""

    values: NDArray[np.float64]
    """Shape (C,)."""
    velocity_command: tuple[float, float, float]
    """The one that the policy saw at this state; on the row of a fall, the last one before."""
    begins: bool
    """Whether it is the first of an episode."""


@dataclass(frozen=True)
class EpisodeGap:
    """The episode broke off: what follows isn't its next step."""


class TransitionRows:
    """Turns ticks into rows.

    A row exists where the policy walks on a fresh state one control period after the tick before,
    which sent a position. A fall right after such a row becomes the last row of its episode, with
    termination 1. Everything else is a gap, except the end of the loop: nothing follows that.

    Raises:
        LogError: The robot has extension columns; no RobotState carries their values.
    """

    def __init__(self, spec: RobotSpec) -> None:
        if spec.extension_names:
            raise LogError(
                f"{spec.name} has the extension columns {', '.join(spec.extension_names)}, which "
                "RobotState doesn't carry",
                fix="Log a robot without extension columns.",
            )
        self._spec = spec
        self._columns = TransitionColumns.of(spec)
        self._previous: LoggedTick | None = None
        self._last_command: tuple[float, float, float] | None = None

    def take(self, tick: LoggedTick) -> TransitionRow | EpisodeGap | None:
        """What a tick adds: a row, the end of the episode, or nothing."""
        previous, self._previous = self._previous, tick
        last_command, self._last_command = self._last_command, None
        in_episode = last_command is not None
        if tick.is_stopped:
            return None
        if previous is not None and self._follows(previous, tick) and tick.robot_state is not None:
            if tick.is_walking:
                vx, vy, wz = (float(value) for value in tick.velocity_command)
                self._last_command = (vx, vy, wz)
                values = self._values(tick.robot_state, previous, fell=False)
                return TransitionRow(values, self._last_command, begins=not in_episode)
            if last_command is not None and tick.fell and tick.fresh:
                values = self._values(tick.robot_state, previous, fell=True)
                return TransitionRow(values, last_command, begins=False)
        return EpisodeGap() if in_episode else None

    def break_off(self) -> None:
        """Make the next row begin an episode, because the latest one got lost."""
        self._last_command = None

    def _follows(self, previous: LoggedTick, tick: LoggedTick) -> bool:
        period_s = tick.now_s - previous.now_s
        allowed_s = _PERIOD_TOLERANCE * self._spec.control_dt_s
        return (
            tick.tick_index == previous.tick_index + 1
            and abs(period_s - self._spec.control_dt_s) <= allowed_s
            and not previous.command.is_damping
        )

    def _values(
        self, state: RobotState, previous: LoggedTick, *, fell: bool
    ) -> NDArray[np.float64]:
        values = np.zeros(self._columns.count)
        values[self._columns.state] = state.vector(self._spec)
        values[self._columns.action.slice] = previous.applied_action
        values[self._columns.contact.slice] = state.contact
        values[self._columns.termination.slice] = float(fell)
        return values
