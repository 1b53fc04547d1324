"""What the control loop does about a robot that leaves its data: nothing, warn, or act."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.named_choice import find_by_name
from rwmu_deploy.runtime.safety_monitor import SafetyState, Verdict
from rwmu_deploy.runtime.uncertainty_monitor import (
    MonitorLevel,
    MonitorMode,
    MonitorReading,
    UncertaintyMonitor,
)

if TYPE_CHECKING:
    from rwmu_deploy.contract.policy_bundle import PolicyBundle  # which needs onnxruntime

STOP_S = 1.5
"""A lost robot is told to stand for so long, then it damps. The policy still balances it
meanwhile, which is the best that there is, and it may not be for long."""
MONITOR_MODES: dict[str, MonitorMode] = {"off": "off", "warn": "warn", "act": "act"}
_logger = logging.getLogger(__name__)


class DataGuard:
    """A monitor beside the control loop.

    Warning, it never changes anything. Acting, it shrinks the velocity command, and a robot that
    is lost stands, then damps. A monitor that fails while it acts counts as lost: nobody watches
    then.

    Args:
        monitor: Follows the robot.
        acts: Whether it may change anything.
    """

    def __init__(self, monitor: UncertaintyMonitor, *, acts: bool) -> None:
        self._monitor = monitor
        self._acts = acts
        self._failed = False
        self._lost_s: float | None = None
        self._why = ""
        self.reading: MonitorReading | None = None
        """Of this tick; None where nothing was followed."""

    @property
    def mode(self) -> MonitorMode:
        """What it may do."""
        return "act" if self._acts else "warn"

    @property
    def command_factor(self) -> float:
        """What the velocity command is multiplied by."""
        if not self._acts:
            return 1.0
        return 0.0 if self._failed else self._monitor.command_factor

    def gap(self) -> None:
        """Nothing can be followed in this tick."""
        self.reading = None
        self._monitor.gap()

    def reset(self) -> None:
        """Before a start."""
        self._monitor.reset()
        self._failed = False
        self._lost_s = None
        self.reading = None

    def step(
        self,
        now_s: float,
        state: NDArray[np.floating],
        action: NDArray[np.floating],
        *,
        fresh: bool,
    ) -> str | None:
        """Follow one tick.

        Args:
            now_s: Monotonic time.
            state: Measured, physical units, shape (S,).
            action: That was sent on it, shape (A,).
            fresh: Whether the measurement is new since the last tick.

        Returns:
            What is to be counted: "monitor_caution", "monitor_lost" or "monitor_failed" when it
            begins; None otherwise.
        """
        if not fresh:
            self.gap()
            return None
        before = self._monitor.level
        try:
            self.reading = self._monitor.step(state, action)
        except Exception:
            self.reading = None
            if self._failed:
                return None
            _logger.exception("the monitor failed")
            self._failed, self._lost_s = True, now_s
            self._why = "the monitor failed"
            return "monitor_failed"
        level = self.reading.level
        if not level > before:
            return None
        _logger.warning("the monitor says %s", self.reading.says)
        if level is MonitorLevel.LOST:
            self._lost_s = now_s if self._lost_s is None else self._lost_s
            self._why = self.reading.says
        return f"monitor_{level.name.lower()}"

    def verdicts(self, now_s: float) -> list[Verdict]:
        """Why the robot should damp now; empty while it may go on."""
        if not self._acts or self._lost_s is None or now_s - self._lost_s < STOP_S:
            return []
        return [Verdict(SafetyState.DAMP, "left_its_data", self._why)]


def default_mode(bundle: PolicyBundle) -> MonitorMode:
    """Warn where there is a world model on board: acting is for those who watched it warn."""
    return "off" if bundle.world_model is None else "warn"


def guard_of(bundle: PolicyBundle, mode: str) -> DataGuard | None:
    """The guard that a bundle can have; None when it is off.

    Args:
        bundle: The policy's.
        mode: `off`; `warn`; `act`. A bundle without a world model can only do without.

    Raises:
        ConfigError: Another mode, or one that the bundle can't do.
    """
    chosen = find_by_name(MONITOR_MODES, mode, "monitor mode")
    if chosen == "off":
        return None
    if bundle.world_model is None or bundle.monitor_calibration is None:
        raise ConfigError(
            f"monitor is '{mode}', but bundle {bundle.name} has no world model on board",
            fix="Export it with --world-model DIR --monitor-data DIR, or set the monitor to off.",
        )
    monitor = UncertaintyMonitor(
        bundle.world_model, bundle.monitor_calibration, bundle.spec.control_dt_s
    )
    return DataGuard(monitor, acts=chosen == "act")
