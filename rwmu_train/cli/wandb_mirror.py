"""Weights & Biases, where it is installed and asked for: a mirror of the TensorBoard events."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rwmu_deploy.contract.errors import ConfigError


@contextmanager
def mirrored_to_wandb(project: str | None, run_folder: Path) -> Iterator[None]:
    """Send what TensorBoard gets to a W&B project as well; None sends nothing.

    Must be entered before events are opened.

    Raises:
        ConfigError: W&B is asked for and not installed.
    """
    if project is None:
        yield
        return
    try:
        wandb = importlib.import_module("wandb")
    except ImportError:
        raise ConfigError(
            "--wandb is given, and the package wandb is not installed",
            fix="Run pip install wandb, or leave --wandb out: TensorBoard events are kept anyway.",
        ) from None
    wandb.init(project=project, name=run_folder.name, dir=str(run_folder), sync_tensorboard=True)
    try:
        yield
    finally:
        wandb.finish()
