"""What really happened to the simulated robot, as a CSV with a header, for plots and checks."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from rwmu_deploy.contract.errors import LogError

COLUMNS = (
    "time_s",
    "base_x_m",
    "base_y_m",
    "base_height_m",
    "upright",
    "fell",
    "vx_mps",
    "vy_mps",
    "wz_radps",
    "command_vx_mps",
    "command_vy_mps",
    "command_wz_radps",
    "commands_received",
    "damping",
)
"""`upright` is the cosine of the tilt; `damping` is 1 where the latest joint command damps."""


class TruthRecorder:
    """Writes rows to `<path>.tmp`; `close` gives the file its name.

    Raises:
        LogError: The file can't be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(path.name + ".tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._temporary.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise LogError(
                f"truth_file {path} can't be written: {error}", fix="Name a writable place."
            ) from error
        self._writer = csv.writer(self._file)
        self._writer.writerow(COLUMNS)

    def write(self, values: Sequence[float]) -> None:
        """Write one row, a value a column."""
        assert len(values) == len(COLUMNS), "one value a column"
        self._writer.writerow([f"{value:.6g}" for value in values])

    def close(self) -> None:
        """Publish the file."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._temporary, self._path)
