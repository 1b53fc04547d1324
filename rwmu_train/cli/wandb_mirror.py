"""Weights & Biases, where it is installed and asked for: a mirror of the TensorBoard events."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rwmu_deploy.contract.errors import ConfigError


def require_wandb(project: str | None) -> None:
    """Check that W&B can be asked for.

    Raises:
        ConfigError: It is not installed.
    """
    if project is not None:
        _wandb()


@contextmanager
def mirrored_to_wandb(project: str | None, run_folder: Path) -> Iterator[None]:
    """Send what TensorBoard gets to a W&B project as well; None sends nothing.

    Must be entered before events are opened.
    """
    if project is None:
        yield
        return
    wandb = _wandb()
    wandb.init(project=project, name=run_folder.name, dir=str(run_folder), sync_tensorboard=True)
    try:
        yield
    finally:
        wandb.finish()


def _wandb() -> Any:
    try:
        return importlib.import_module("wandb")
    except ImportError:
        raise ConfigError(
            "--wandb is given, and the package wandb is not installed",
            fix="Run pip install wandb, or leave --wandb out: TensorBoard events are kept anyway.",
        ) from None
