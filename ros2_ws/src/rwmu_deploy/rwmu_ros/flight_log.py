"""The recordings of one run's faults: who records, and what became of them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rwmu_deploy.collection.flight_writer import FlightWriter
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.runtime.data_guard import DataGuard
from rwmu_deploy.runtime.flight_record import FlightFacts
from rwmu_deploy.runtime.flight_recorder import FlightRecorder
from rwmu_ros.node_parameters import PolicyNodeParameters


class FlightLog:
    """Opened at arming, closed at the end; nothing happens where no recordings are wanted."""

    def __init__(
        self, bundle: PolicyBundle, parameters: PolicyNodeParameters, guard: DataGuard | None
    ) -> None:
        in_log = str(Path(parameters.log_dir) / "flights") if parameters.log_dir else ""
        folder = parameters.flight_dir or in_log
        facts = FlightFacts(
            bundle.spec,
            bundle.command_range,
            stand_up_s=parameters.stand_up_s,
            observation_range=bundle.observation_range,
            monitor="off" if guard is None else guard.mode,
            bundle=bundle.name,
            bundle_sha256=bundle.sha256,
            source=parameters.log_source + (", dry run" if parameters.dry_run else ""),
        )
        self._writer = FlightWriter(Path(folder), facts) if folder else None

    @property
    def recorder(self) -> FlightRecorder | None:
        """What is to look on while the loop runs."""
        return None if self._writer is None else self._writer.recorder

    def open(self) -> None:
        """Begin to record.

        Raises:
            LogError: The folder can't be written to, or is full.
        """
        if self._writer is not None:
            self._writer.start()

    def expect_end(self) -> None:
        """A stop from now on is the run's ordinary end."""
        if self._writer is not None:
            self._writer.recorder.expect_end()

    def close(self) -> dict[str, Any] | None:
        """Write what is left and say what became of everything; None where none was wanted."""
        if self._writer is None:
            return None
        summary = asdict(self._writer.close())
        return {**summary, "files": [str(path) for path in summary["files"]]}
