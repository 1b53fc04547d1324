"""Reading a million transitions, cold and warm, beside pandas; and memory of six million.

The shipped sample is written again and again into one CSV. Cold and pandas take turns; read the
ratio. Memory is the peak of a process of its own, interpreter and libraries included.

    python benchmarks/reading_speed.py --rows 1000000 --rounds 3 --files 60
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from rwmu_deploy.contract.asset_folder import asset_path
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.transitions.csv_reader import read_csv_rows
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.row_cache import cache_path, cached_csv_rows
from rwmu_train.transitions.windows import gather, window_starts

SAMPLE = asset_path("data", "anymal_d_flat") / "state_action_data_0.csv"
WINDOWS, WINDOW_ROWS = 1024, 40


def main() -> None:
    """Print one JSON document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="of one file")
    parser.add_argument("--files", type=int, default=60, help="for memory, of a tenth each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the files go for a while")
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of is not None:
        print(json.dumps(memory_of(options.memory_of)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        csv = Path(name) / "state_action_data_0.csv"
        write_rows(csv, options.rows)
        document = {"rows": options.rows, "mb": round(csv.stat().st_size / 1e6)}
        document |= speeds(csv, options.rounds)
        csv.unlink()
        write_rows(csv, options.rows // 10)
        cached_csv_rows(csv, columns())
        for number in range(1, options.files):
            os.link(csv, csv.with_name(f"state_action_data_{number}.csv"))
            cached_csv_rows(csv.with_name(f"state_action_data_{number}.csv"), columns())
        again = [sys.executable, __file__, "--memory-of", name]
        output = subprocess.run(again, check=True, capture_output=True, text=True).stdout
        print(json.dumps(document | {"large_set": json.loads(output)}, indent=1))


def columns() -> TransitionColumns:
    return TransitionColumns.of(load_robot_spec("anymal_d"))


def write_rows(csv: Path, count: int) -> None:
    """The sample's lines, over and over."""
    lines = SAMPLE.read_bytes().splitlines(keepends=True)
    with open(csv, "wb") as file:
        while count > 0:
            file.writelines(lines[:count])
            count -= len(lines)


def speeds(csv: Path, rounds: int) -> dict[str, object]:
    """Seconds of every way of reading, and ratios within each round."""
    spec = load_robot_spec("anymal_d")

    def forget() -> None:
        cache_path(csv).unlink(missing_ok=True)

    ways: dict[str, Callable[[], object]] = {
        "pandas": lambda: pd.read_csv(csv, header=None, engine="c"),
        "pandas_one_thread": lambda: _read_open_file(csv),
        "numbers": lambda: read_csv_rows(csv, columns()),
        "cold": lambda: load_dataset(csv, spec),
        "warm": lambda: load_dataset(csv, spec),
    }
    read_csv_rows(SAMPLE, columns())  # compiles the parser
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        forget()
        for name, read in ways.items():
            began = time.perf_counter()
            result = read()
            seconds[name].append(time.perf_counter() - began)
            del result
    ratios = {
        f"{pandas}_over_{ours}": [
            round(p / o, 2) for p, o in zip(seconds[pandas], seconds[ours], strict=True)
        ]
        for pandas in ("pandas", "pandas_one_thread")
        for ours in ("numbers", "cold", "warm")
    }
    return {
        "pandas_version": pd.__version__,
        "median_s": {name: round(statistics.median(all_s), 3) for name, all_s in seconds.items()},
        "ratios": ratios,
    }


def _read_open_file(csv: Path) -> pd.DataFrame:
    """From pandas 3.1 on, only files by name are read with all processors."""
    with open(csv, "rb") as file:
        return pd.read_csv(file, header=None, engine="c")


def memory_of(folder: Path) -> dict[str, float]:
    """Peak memory of loading a folder from its caches, and the time to draw windows from it."""
    began = time.perf_counter()
    data = load_dataset(folder, load_robot_spec("anymal_d"))
    load_s = time.perf_counter() - began
    starts = window_starts(data, WINDOW_ROWS)
    rng = np.random.default_rng(0)
    draw_s: list[float] = []
    for _ in range(30):
        began = time.perf_counter()
        gather(data, starts[rng.integers(0, len(starts), WINDOWS)], WINDOW_ROWS)
        draw_s.append(time.perf_counter() - began)
    # Not getrusage: its figure begins with the parent's memory.
    status = Path("/proc/self/status").read_text()
    peak = 1024 * int(status.partition("VmHWM:")[2].split()[0])
    return {
        "rows": data.row_count,
        "files": len(data.files),
        "load_warm_s": round(load_s, 3),
        "peak_bytes_per_row": round(peak / data.row_count, 1),
        "draw_1024_windows_of_40_ms": round(1e3 * statistics.median(draw_s), 2),
    }


if __name__ == "__main__":
    main()
