"""TensorBoard events of the world model's training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from rwmu_train.world_model.multi_step_loss import LossParts

LOSS_EVERY = 10
"""Iterations between recorded losses."""


class TrainingEvents:
    """Writes to `run_folder`/tensorboard; without a folder, nowhere."""

    def __init__(self, run_folder: Path | None) -> None:
        self._writer = (
            None if run_folder is None else SummaryWriter(str(run_folder / "tensorboard"))
        )

    def loss(self, parts: LossParts, iteration: int) -> None:
        """Record every tenth step's loss."""
        if self._writer is None or iteration % LOSS_EVERY:
            return
        for name, value in vars(parts).items():
            self._writer.add_scalar(f"loss/{name}", float(value), iteration)

    def held_out(self, scores: Mapping[str, Any], iteration: int) -> None:
        """Record an evaluation."""
        if self._writer is None:
            return
        self._writer.add_scalar("held_out/error_last_step", scores["error_by_step"][-1], iteration)
        self._writer.add_scalar(
            "held_out/uncertainty", scores["uncertainty_std_sum"]["mean"], iteration
        )

    def close(self) -> None:
        """Write out what is left."""
        if self._writer is not None:
            self._writer.close()
