"""How long the robot waits for an action, on one core.

Pins this process to one processor and times every single call. Subjects take turns in blocks, so
that a busy machine slows all alike. A call that another process interrupted counts as it was; how
often that happened is told beside it, for it is what makes the largest times.

    python benchmarks/policy_latency.py --calls 100000 --json policy_latency.json
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from rich.console import Console
from rich.progress import track
from rich.table import Table

from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.runtime.uncertainty_monitor import UncertaintyMonitor

BUNDLE = Path(__file__).parents[1] / "exports" / "anymal_d_flat"
BLOCK = 1000
"""Calls of one subject before the next has its turn."""
PERCENTILES = {"p50_us": 50.0, "p99_us": 99.0, "p99_9_us": 99.9, "max_us": 100.0}


def main() -> None:
    """Print a table, and write the same as JSON if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--calls", type=int, default=100_000, help="of every subject")
    parser.add_argument("--core", type=int, help="processor to use (default: the last)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    core = max(os.sched_getaffinity(0)) if options.core is None else options.core
    # Before any session exists, so that every thread of onnxruntime would be bound too.
    os.sched_setaffinity(0, {core})
    found = measure(subjects(PolicyBundle.load(options.bundle)), options.calls)
    document = {
        "bundle": options.bundle.name,
        "calls": options.calls,
        "core": core,
        "machine": platform.machine(),
        "onnxruntime": onnxruntime.__version__,
        "subjects": found,
    }
    _print(Console(), document)
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def subjects(bundle: PolicyBundle) -> dict[str, Callable[[], object]]:
    """What is timed: each is called again and again, and does the work of one control step."""
    rng = np.random.default_rng(0)
    seen = bundle.observation_range
    low, high = (-1.0, 1.0) if seen is None else (seen.minimum, seen.maximum)
    drawn = rng.uniform(low, high, (BLOCK, bundle.golden_observations.shape[1]))
    observations = itertools.cycle(drawn.astype(np.float32))
    found: dict[str, Callable[[], object]] = {"policy": lambda: bundle.action(next(observations))}
    if bundle.world_model is not None and bundle.monitor_calibration is not None:
        monitor = UncertaintyMonitor(
            bundle.world_model, bundle.monitor_calibration, bundle.spec.control_dt_s
        )
        size = bundle.monitor_calibration.state_size
        states = itertools.cycle(rng.normal(0.0, 0.1, (BLOCK, size)))

        def with_monitor() -> None:
            action = bundle.action(next(observations))
            monitor.step(next(states), action)

        found["policy and monitor"] = with_monitor
    return found


def measure(subjects: dict[str, Callable[[], object]], calls: int) -> dict[str, dict[str, Any]]:
    """Percentiles of every subject's time for one call, in microseconds."""
    taken_ns: dict[str, list[int]] = {name: [] for name in subjects}
    interrupted = dict.fromkeys(subjects, 0)
    for call in subjects.values():
        for _ in range(BLOCK):
            call()
    blocks = range(0, calls, BLOCK)
    # Without a thread of its own, which would share the core.
    for start in track(blocks, "calls", console=Console(stderr=True), auto_refresh=False):
        for name, call in subjects.items():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
            for _ in range(min(BLOCK, calls - start)):
                began_ns = time.perf_counter_ns()
                call()
                taken_ns[name].append(time.perf_counter_ns() - began_ns)
            interrupted[name] += resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - before
    return {
        name: {
            **{
                key: round(float(np.percentile(times, share)) / 1e3, 1)
                for key, share in PERCENTILES.items()
            },
            "interrupted": interrupted[name],
        }
        for name, times in taken_ns.items()
    }


def _print(console: Console, document: dict[str, Any]) -> None:
    table = Table(
        title=f"{document['calls']:,} calls on core {document['core']}, microseconds a call"
    )
    table.add_column("subject")
    for name in ("p50", "p99", "p99.9", "max", "interrupted"):
        table.add_column(name, justify="right")
    for name, found in document["subjects"].items():
        figures = (f"{found[key]:,.1f}" for key in PERCENTILES)
        table.add_row(name, *figures, f"{found['interrupted']:,}")
    console.print(table)


if __name__ == "__main__":
    main()
