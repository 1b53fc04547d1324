"""What `rwmu-eval monitor` leaves in a folder: figures, a page, a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rwmu_train.cli.output_file import write_json, write_output
from rwmu_train.evaluation.monitor.monitor_judgement import (
    ONSET_S,
    MonitorJudgement,
    MonitorSettings,
    disturbed_seconds,
)
from rwmu_train.evaluation.monitor.monitored_walk import MonitoredWalk
from rwmu_train.pictures.monitor_page import monitor_page
from rwmu_train.pictures.monitor_picture import monitor_pictures, monitor_png

REPORT, PAGE, PICTURE = "monitor.json", "monitor.html", "monitor.png"


@dataclass(frozen=True)
class MonitorReport:
    """Everything that was found out."""

    bundle: str
    bundle_sha256: str
    settings: MonitorSettings
    judgement: MonitorJudgement
    walks: Mapping[str, MonitoredWalk]
    """By disturbance; the monitor only warns."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "schema": 1,
            "bundle": self.bundle,
            "bundle_sha256": self.bundle_sha256,
            "settings": asdict(self.settings),
            **self.judgement.to_dict(),
        }


def write_report(out: Path, report: MonitorReport) -> None:
    """Write all of it, made before the first file is begun.

    Args:
        out: The folder, which exists.
        report: What was found out.

    Raises:
        ConfigError: A file can't be written.
    """
    s = report.settings
    asked = (
        f"{report.bundle} in the simulated robot '{s.variant}', {s.robots} robots, seed {s.seed}: "
        f"{s.seconds:g} s each in which nothing happens, and {disturbed_seconds():g} s for each "
        f"disturbance, which sets in after {ONSET_S:g} s of walking. New commands every 2 to 8 s."
    )
    pictures = monitor_pictures(report.judgement, report.walks)
    contents = {
        PAGE: monitor_page(report.judgement, pictures, asked),
        PICTURE: monitor_png(report.judgement, report.walks),
    }
    for name, content in contents.items():
        write_output("--out", out / name, content)
    write_json(out / REPORT, report.to_dict())
