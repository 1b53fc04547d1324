"""Our reader beside the released one (robotic_world_model_lite), on the same two files.

Our recorder writes one, the control loop's logger the other.

Needs a checkout of that repository. Its `train.py` imports the trainer, the environments and
wandb, which loading data does not need; empty modules stand for them.

    python benchmarks/against_released_loader.py --checkout robotic_world_model_lite
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import sys
import tempfile
import time
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch

from rwmu_deploy.cli.run import main as rwmu_run
from rwmu_deploy.contract.asset_folder import asset_path
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_train.cli.data import main as rwmu_data
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.windows import window_starts

ROWS = 10_000
BUNDLE = Path(__file__).parents[1] / "exports" / "anymal_d_flat"
HISTORY, FORECAST = 32, 8
WINDOW = HISTORY + FORECAST


@dataclass(frozen=True)
class Loaded:
    """What the released loader holds."""

    seconds_to_read: float
    seconds_to_cut_windows: float
    blocks: tuple[torch.Tensor, ...]
    """State, action, extension, contact, termination; shape (1, N, ...) each."""
    windows: Any
    """Its data set of windows."""


def main() -> None:
    """Print one JSON document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--checkout", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(2)
    assert pd  # imported here, or it would go away again with the stand-ins
    spec = load_robot_spec("anymal_d")
    load_dataset(asset_path("data", "anymal_d_flat"), spec)  # compiles the parser
    with tempfile.TemporaryDirectory() as name:
        document = {}
        for what, write in (("recorder", record), ("logger", log)):
            csv = write(Path(name) / what)
            theirs = load_released(options.checkout / "scripts", csv.parent, spec)
            (cold_s, ours), (warm_s, _) = timed_loading(csv, spec), timed_loading(csv, spec)
            document[what] = compare(theirs, ours, cold_s, warm_s)
    print(json.dumps(document, indent=1))


def record(folder: Path) -> Path:
    """ROWS rows of robots that walk, stumble and fall, by `rwmu-data record`."""
    size = ["--rows", str(ROWS), "--robots", "20", "--noise", "0", "0.4", "0.8", "1.0"]
    with contextlib.redirect_stdout(io.StringIO()):
        done = rwmu_data(["record", "--bundle", str(BUNDLE), *size, "--out", str(folder)])
    assert done == 0
    return folder / "state_action_data_0.csv"


def log(folder: Path) -> Path:
    """The first segment of the control loop's logger, which has ROWS rows, by `rwmu-run`."""
    words = ["--fast", "--seconds", str(1.01 * ROWS * 0.02), "--log", str(folder)]
    with contextlib.redirect_stdout(io.StringIO()):
        done = rwmu_run(["--robot", "sim", "--bundle", str(BUNDLE), *words])
    assert done == 0
    return folder / "state_action_data_0.csv"


def timed_loading(csv: Path, spec: RobotSpec) -> tuple[float, TransitionDataset]:
    """Seconds, and the rows."""
    began = time.perf_counter()
    data = load_dataset(csv, spec)
    return time.perf_counter() - began, data


def load_released(scripts: Path, folder: Path, spec: RobotSpec) -> Loaded:
    """Let the released code read a folder of ROWS rows."""
    wandb: Any = types.ModuleType("wandb")
    wandb.run = None
    stand_ins = {"wandb": wandb}
    for name, members in {
        "configs": ("BaseConfig", "AnymalDFlatConfig"),
        "envs": ("BaseEnv", "AnymalDFlatEnv"),
        "policy_training": ("PolicyTraining",),
        "rsl_rl": (),
        "rsl_rl.modules": ("ActorCritic", "SystemDynamicsEnsemble"),
        "rsl_rl.algorithms": ("PPO",),
        "rsl_rl.utils": ("resolve_obs_groups",),
    }.items():
        stand_ins[name] = types.ModuleType(name)
        for member in members:
            setattr(stand_ins[name], member, type(member, (), {}))
    search = [str(scripts), *sys.path]
    with mock.patch.dict(sys.modules, stand_ins), mock.patch.object(sys, "path", search):
        released = importlib.import_module("train")
    experiment = released.ModelBasedExperiment("anymal_d_flat", "cpu")
    experiment.env = mock.Mock(init_dataset=None)
    experiment.history_horizon, experiment.forecast_horizon = HISTORY, FORECAST
    experiment.state_dim, experiment.action_dim = 9 + 3 * spec.joint_count, spec.joint_count
    experiment.extension_dim = len(spec.extension_names)
    experiment.contact_dim = len(spec.contact_names)
    root, name = str(folder.parent), folder.name
    with contextlib.redirect_stdout(io.StringIO()):
        began = time.perf_counter()
        blocks = experiment._load_data(root, name, ROWS, ROWS)
        read_s = time.perf_counter() - began
        experiment.data_file_idx = 0
        began = time.perf_counter()
        experiment.prepare_data(root, name, ROWS, ROWS)
        all_s = time.perf_counter() - began
    return Loaded(read_s, all_s - read_s, blocks, experiment.dataset)


def compare(
    theirs: Loaded, ours: TransitionDataset, cold_s: float, warm_s: float
) -> dict[str, Any]:
    """Times, memory, and what the two read."""
    joined = torch.cat([block[0] for block in theirs.blocks], dim=1).numpy()
    starts = window_starts(ours, WINDOW)
    normalised = theirs.windows.normalize(theirs.blocks[0], theirs.blocks[1])[0][0].numpy()
    row_of = {row.tobytes(): number for number, row in enumerate(normalised)}
    their_starts = np.array(
        [row_of[first.tobytes()] for first in theirs.windows.state_data[:, 0].numpy()]
    )
    held = [
        getattr(theirs.windows, name)
        for name in ("state_data", "action_data", "extension_data", "contact_data")
    ]
    their_bytes = sum(t.nbytes for t in (*held, theirs.windows.termination_data, *theirs.blocks))
    our_bytes = ours.rows.nbytes + ours.velocity_command.nbytes + starts.nbytes
    return {
        "rows": ours.row_count,
        "same_tensors": bool(np.array_equal(joined, ours.rows)),
        "released": {
            "read_s": round(theirs.seconds_to_read, 4),
            "cut_windows_s": round(theirs.seconds_to_cut_windows, 4),
            "bytes_per_row": round(their_bytes / ours.row_count),
            "windows": len(their_starts),
            "windows_across_a_reset": _across_a_reset(ours, their_starts),
        },
        "ours": {
            "read_cold_s": round(cold_s, 4),
            "read_warm_s": round(warm_s, 4),
            "bytes_per_row": round(our_bytes / ours.row_count),
            "windows": len(starts),
            "windows_across_a_reset": _across_a_reset(ours, starts),
        },
        "seconds_released_over_ours": {
            "cold": round((theirs.seconds_to_read + theirs.seconds_to_cut_windows) / cold_s, 1),
            "warm": round((theirs.seconds_to_read + theirs.seconds_to_cut_windows) / warm_s, 1),
        },
    }


def _across_a_reset(data: TransitionDataset, starts: np.ndarray) -> int:
    """Counted row by row, not with the arithmetic that made the windows."""
    episode = np.repeat(np.arange(len(data.episode_start)), data.episode_length)
    return sum(len(set(episode[s : s + WINDOW])) > 1 for s in starts.tolist())


if __name__ == "__main__":
    main()
