"""What `rwmu-eval policy` leaves in a folder: figures, a page, a picture, a film."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.cli.output_file import write_json, write_output
from rwmu_train.evaluation.policy.policy_score import PolicyScore
from rwmu_train.evaluation.policy.simulated_episodes import EpisodeSettings, PolicyEpisodes
from rwmu_train.pictures.policy_page import policy_page
from rwmu_train.pictures.policy_picture import policy_pictures, policy_png

# Not policy.json: a run folder has its policy's facts there.
REPORT, PAGE, PICTURE, FILM = (
    *("evaluation.json", "evaluation.html", "evaluation.png"),
    "evaluation",
)


@dataclass(frozen=True)
class PolicyReport:
    """Everything that was found out."""

    task: str
    settings: EpisodeSettings
    episodes: Mapping[tuple[str, str], PolicyEpisodes]
    """By policy and variant, as all that follow."""
    scores: Mapping[tuple[str, str], PolicyScore]
    reference: str | None
    ratios: Mapping[tuple[str, str], tuple[float, tuple[float, float]]]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        policies: dict[str, dict[str, Any]] = {}
        for (name, variant), score in self.scores.items():
            ratio = self.ratios.get((name, variant))
            policies.setdefault(name, {})[variant] = score.to_dict() | {
                "return_over_reference": ratio and {"ratio": ratio[0], "interval_95": ratio[1]}
            }
        return {
            "schema": 1,
            "task": self.task,
            "settings": asdict(self.settings),
            "reference": self.reference,
            "notes": list(self.notes),
            "policies": policies,
        }


def refuse_place(out: Path) -> None:
    """Refuse a folder that can't be written, before anything is simulated.

    Raises:
        ConfigError: It is a file, or lies in what may not be written.
    """
    there = next(place for place in (out, *out.absolute().parents) if place.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        what = "no folder that may be written" if there.is_dir() else "a file"
        raise ConfigError(
            f"--out {out} can't be made: {there} is {what}", fix="Name another folder."
        )


def write_report(out: Path, report: PolicyReport, film: tuple[str, bytes] | None) -> None:
    """Write all of it, made before the first file is begun.

    Args:
        out: The folder.
        report: What was found out.
        film: How its name ends, and its bytes.

    Raises:
        ConfigError: The folder can't be written.
    """
    s = report.settings
    places = ", ".join(dict.fromkeys(name for name, _ in report.scores))
    asked = (
        f"{places}. Task {report.task}: {s.robots} episodes of {s.seconds:g} s, seed {s.seed}, "
        f"observation noise x {s.noise_scale:g}, {'with' if s.pushes else 'without'} pushes; "
        "a robot's episode ends with its first fall."
    )
    pictures = policy_pictures(report.episodes, report.scores)
    contents = {
        PAGE: policy_page(report.scores, report.ratios, pictures, asked, report.notes),
        PICTURE: policy_png(report.episodes, report.scores),
    }
    if film is not None:
        contents[f"{FILM}.{film[0]}"] = film[1]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"--out {out} can't be made: {error.strerror}", fix="Name another folder."
        ) from error
    for name, content in contents.items():
        write_output("--out", out / name, content)
    write_json(out / REPORT, report.to_dict())
