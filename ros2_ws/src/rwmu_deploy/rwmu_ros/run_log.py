"""The transition log of one run: whether it can be written, its numbers, and what became of it."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rwmu_deploy.collection.transition_logger import FREE_FLOOR_BYTES, TransitionLogger
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.patrol.excitation import Excitation
from rwmu_deploy.runtime.contact_estimate import SAYS as CONTACT_ESTIMATE
from rwmu_deploy.runtime.foot_motion import SAYS as FOOT_MOTION
from rwmu_deploy.runtime.safety_monitor import SafetyState, Verdict
from rwmu_deploy.runtime.tick_report import TickReport
from rwmu_deploy.runtime.velocity_estimate import SAYS as VELOCITY_ESTIMATE
from rwmu_ros.node_parameters import PolicyNodeParameters


class RunLog:
    """Opened at arming, closed at the end; nothing happens where no log is wanted."""

    def __init__(self, bundle: PolicyBundle, parameters: PolicyNodeParameters) -> None:
        self._bundle = bundle
        self._parameters = parameters
        self._logger: TransitionLogger | None = None

    def fault(self) -> str | None:
        """Why a log could not be written here and now; None: it could, or none is wanted."""
        folder = self._parameters.log_dir
        if not folder:
            return None
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"may I?")
            free_bytes = shutil.disk_usage(folder).free
        except OSError as error:
            return f"log_dir {folder} can't be written to: {error.strerror or error}"
        if not free_bytes >= FREE_FLOOR_BYTES:
            needed_gb = FREE_FLOOR_BYTES / 1e9
            return (
                f"log_dir {folder} has {free_bytes / 1e9:.2f} GB free of {needed_gb:g} GB needed"
            )
        return None

    def open(self) -> None:
        """Begin to log.

        Raises:
            LogError: The folder can't be written to.
        """
        parameters = self._parameters
        if not parameters.log_dir:
            return
        simulated = parameters.log_source == "sim"
        self._logger = TransitionLogger(
            Path(parameters.log_dir),
            self._bundle.spec,
            source="sim" if simulated else "real",
            bundle_sha256=self._bundle.sha256,
            torque_source="simulated" if simulated else "measured",
            contact_source=(
                f"topic {parameters.contacts_topic}; bodies that it does not name are 0"
                if parameters.contacts_topic
                else CONTACT_ESTIMATE
            ),
            base_velocity_source=self._velocity_source(),
            note="; ".join(self._notes()),
        )

    def _velocity_source(self) -> str:
        if not self._parameters.odom_topic:
            return VELOCITY_ESTIMATE
        is_simulated = self._parameters.log_source == "sim"
        return "simulated" if is_simulated else f"topic {self._parameters.odom_topic}"

    def _notes(self) -> list[str]:
        excitation = Excitation(self._parameters.excitation).says
        dry_run = "dry run: the actions were not sent" if self._parameters.dry_run else ""
        feet = FOOT_MOTION if self._bundle.spec.extension_names else ""
        return [note for note in (excitation, dry_run, feet) if note]

    def on_tick(self, report: TickReport) -> None:
        """Take a tick; never waits for the disk."""
        if self._logger is not None:
            self._logger.on_tick(report)

    def verdicts(self) -> list[Verdict]:
        """HOLD where rows would get lost and the operator wants no motion without its data."""
        logger = self._logger
        if logger is None or self._parameters.on_log_failure != "hold":
            return []
        if not logger.is_failing:
            return []
        return [Verdict(SafetyState.HOLD, "log_failing", logger.status.failing)]

    def numbers(self) -> dict[str, Any]:
        """Rows, drops, failures and free disk so far; empty without a log."""
        logger = self._logger
        if logger is None:
            return {}
        try:
            free_gb: float | str = shutil.disk_usage(self._parameters.log_dir).free / 1e9
        except OSError as error:
            free_gb = str(error)
        return {**asdict(logger.status), "disk_free_gb": free_gb}

    def close(self) -> dict[str, Any] | None:
        """Write what is left and say what became of everything; None without a log."""
        logger, self._logger = self._logger, None
        if logger is None:
            return None
        return logger.close().to_dict()
