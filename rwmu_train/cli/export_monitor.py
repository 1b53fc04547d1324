"""`rwmu-export --world-model DIR --monitor-data DIR`: a bundle that knows when it is lost."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.export.monitor_export import MonitorSource


def add_monitor_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a monitor is made of."""
    parser.add_argument(
        "--world-model",
        type=Path,
        metavar="DIR",
        help="with --onnx: put this world model on board, to tell when the robot left its data",
    )
    parser.add_argument(
        "--monitor-data",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="held-out transitions of a robot that walked well, which say what is ordinary; "
        "best this policy's own log of the robot that it will run on",
    )


def monitor_source(arguments: argparse.Namespace) -> MonitorSource | None:
    """What --world-model and --monitor-data say; None where neither is given.

    Raises:
        ConfigError: One without the other, or without --onnx.
    """
    model, data = arguments.world_model, arguments.monitor_data
    if model is None and data is None:
        return None
    if model is None or data is None or not arguments.onnx:
        raise ConfigError(
            "--world-model and --monitor-data belong together, and to --onnx",
            fix="Record the policy's own walking: rwmu-data record --policies RUN --noise 0 "
            "--rows 120000 --out DIR, or give the robot's log.",
        )
    return MonitorSource(model, data)


@contextlib.contextmanager
def calibration_progress(console: Console) -> Iterator[Callable[[int, int], None]]:
    """A bar that moves while the monitor's walking is followed."""
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("calibrating the monitor", total=None, visible=False)

        def followed(more: int, total: int) -> None:
            progress.update(task, advance=more, total=total, visible=True)

        yield followed
