"""The whole loop once: train offline, export, walk over ROS 2, log, and read the log back.

Everything here is also a command of its own; the demo prints each before it does it.
"""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from rwmu_deploy.cli.command_line import EXIT_FAILED, EXIT_OK, run_command
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_train.cli import export as export_command
from rwmu_train.cli import train as train_command
from rwmu_train.demo.ros_session import RosSession, run_ros_session
from rwmu_train.demo.session_page import draw_session, read_walk
from rwmu_train.evaluation.simulated_score import SimulatedScore, score_in_simulation
from rwmu_train.run_folder import write_json
from rwmu_train.task.velocity_task import DEFAULT_TASK, find_task
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.normaliser import choose_normaliser
from rwmu_train.transitions.verdict import check_dataset
from rwmu_train.transitions.verdict_table import print_verdict
from rwmu_train.world_model.settings import WORLD_MODEL_PRESETS
from rwmu_train.world_model.training import train_world_model

ROOT = Path(__file__).resolve().parents[2]
TASK = DEFAULT_TASK
SEQUENCE = (
    (4.0, 0.6, 0.0, 0.0),
    (4.0, 0.0, 0.4, 0.0),
    (4.0, 0.0, 0.0, 0.8),
    (4.0, 0.7, 0.0, -0.4),
    (4.0, 0.0, 0.0, 0.0),
)
"""Seconds, vx [m/s], vy [m/s], wz [rad/s]."""


def main() -> int:
    """Entry point; returns the exit code."""
    return run_command(_demo)


def _demo() -> int:
    workspace = ROOT / "ros2_ws" / "src" / "rwmu_deploy"
    if not workspace.is_dir():
        raise ConfigError(f"there is no {workspace}", fix="Run the demo in a checkout of rwmu.")
    console = Console()
    spec = load_robot_spec(find_task(TASK).robot)
    out = ROOT / "exports" / "demo"
    if out.exists():
        shutil.rmtree(out)
    run, data = out / "run", ROOT / "assets" / "data" / TASK
    model, shipped = ROOT / "assets" / "models" / TASK, ROOT / "exports" / TASK
    began = time.monotonic()

    _heading(console, 1, f"Train a policy offline, in imagination, from {data.relative_to(ROOT)}")
    words = ["--task", TASK, "--preset", "quick", "--stage", "policy"]
    words += ["--data", str(data), "--world-model", str(model), "--run", str(run)]
    _do(console, "rwmu-train", words, train_command.main)

    _heading(console, 2, "Export it as a verified bundle")
    words = ["--onnx", "--run", str(run), "--out", str(out / "bundle"), "--data", str(data)]
    _do(console, "rwmu-export", words, export_command.main)

    session = RosSession(out / "bundle", spec.name, SEQUENCE, out / "session")
    _heading(console, 3, f"Walk {session.seconds:.0f} s over ROS 2: two processes, DDS, 50 Hz")
    summary = run_ros_session(session, workspace)

    _heading(console, 4, "Read the robot's log back")
    verdict = check_dataset([session.log_folder], spec)
    print_verdict(console, verdict)
    loss = _one_training_step(session.log_folder, spec, out / "one_step")

    _heading(console, 5, "What happened")
    walk, driven = read_walk(session.truth_file)
    scores = {
        "this demo's policy": _score_bundle(out / "bundle", spec),
        "the shipped bundle": _score_bundle(shipped, spec),
    }
    title = f"{summary['bundle']}: {summary['ticks']} ticks at 50 Hz over DDS"
    draw_session(driven, summary, title, out / "page.png")
    document = {
        "seconds": time.monotonic() - began,
        "node": summary,
        "walk": asdict(walk),
        "log": verdict.to_dict(),
        "one_training_step_loss": loss,
        "simulated": {name: score.to_dict() for name, score in scores.items()},
    }
    write_json(out / "demo.json", document)
    console.print(_table(document, scores))
    console.print(f"Picture: {out / 'page.png'}", markup=False, soft_wrap=True)
    console.print(f"Figures: {out / 'demo.json'}", markup=False, soft_wrap=True)
    return EXIT_OK if verdict.ok and walk.upright_at_end else EXIT_FAILED


def _heading(console: Console, number: int, text: str) -> None:
    console.rule(f"[bold]{number}. {text}", align="left")


def _do(console: Console, program: str, words: list[str], entry: Any) -> None:
    shown = " ".join(word.replace(f"{ROOT}/", "") for word in words)
    console.print(f"$ {program} {shown}", markup=False, soft_wrap=True, style="cyan")
    code = entry(words)
    if code != EXIT_OK:
        raise ConfigError(f"{program} ended with code {code}", fix="Read what it said above.")


def _one_training_step(log: Path, spec: RobotSpec, folder: Path) -> float:
    """One gradient step of the world model on what the robot logged."""
    dataset = load_dataset([log], spec)
    settings = replace(
        WORLD_MODEL_PRESETS["quick"],
        iterations=1,
        batch_size=80,
        validate_every=1,
        validation_share=0.3,
    )
    losses: list[float] = []
    train_world_model(
        dataset,
        choose_normaliser("released", dataset),
        settings,
        folder,
        seed=0,
        on_progress=lambda progress: losses.append(progress.loss),
    )
    return losses[-1]


def _score_bundle(folder: Path, spec: RobotSpec) -> SimulatedScore:
    """Score the ONNX file itself, as the robot would run it."""
    bundle = PolicyBundle.load(folder, robot=spec)

    def policy(observation: torch.Tensor) -> torch.Tensor:
        rows = observation.numpy()
        return torch.from_numpy(np.stack([bundle.action(row) for row in rows]).astype(np.float32))

    return score_in_simulation(policy, spec, find_task(TASK), robots=50)


def _table(document: dict[str, Any], scores: dict[str, SimulatedScore]) -> Table:
    node, walk, log = document["node"], document["walk"], document["log"]
    table = Table("what", "figure", title="rwmu demo", title_justify="left")
    rows = [
        ("ticks of the 50 Hz loop", f"{node['ticks']}"),
        (
            "period error, median / p99 / max",
            f"{node['median_period_error_ms']:.3f} / {node['p99_period_error_ms']:.3f} / "
            f"{node['max_period_error_ms']:.3f} ms",
        ),
        ("overruns", f"{node['overruns']}"),
        ("upright at the end", "yes" if walk["upright_at_end"] else "NO"),
        (
            "base height, at first / lowest / at the end",
            f"{walk['standing_height_m']:.3f} / {walk['lowest_height_m']:.3f} / "
            f"{walk['height_at_end_m']:.3f} m",
        ),
        (
            "tracking over ROS 2, linear / yaw",
            f"{walk['linear_tracking']:.3f} / {walk['yaw_tracking']:.3f}",
        ),
        ("rows logged, episodes", f"{log['rows']}, {log['episodes']}"),
        ("log can be trained on", "yes" if log["ok"] else "NO"),
        ("one training step on the log", f"loss {document['one_training_step_loss']:.2f}"),
    ]
    for name, score in scores.items():
        rows.append(
            (
                f"{name} in 50 simulated robots",
                f"linear tracking {score.linear_tracking:.3f}, yaw {score.yaw_tracking:.3f}, "
                f"falls in 20 s {score.fall_share:.0%}",
            )
        )
    rows.append(("time", f"{document['seconds'] / 60:.1f} minutes"))
    for row in rows:
        table.add_row(*row)
    return table


if __name__ == "__main__":
    sys.exit(main())
