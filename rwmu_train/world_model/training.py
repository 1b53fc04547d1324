"""Train the world model: sample sequences, step, evaluate on held-out episodes, checkpoint."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.utils.tensorboard import SummaryWriter

from rwmu_deploy.contract.errors import ConfigError, TransitionFileError
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.transitions.windows import window_starts
from rwmu_train.world_model.checkpoint import (
    WorldModelFacts,
    restore_training_state,
    save_world_model,
    training_state,
)
from rwmu_train.world_model.ensemble import Architecture, WorldModel
from rwmu_train.world_model.held_out import evaluate
from rwmu_train.world_model.multi_step_loss import LossParts, SequenceBatch, multi_step_loss
from rwmu_train.world_model.sequence_sampler import SequenceSampler, sequence_batch
from rwmu_train.world_model.settings import WorldModelSettings

HELD_OUT_WINDOWS = 1000


@dataclass(frozen=True)
class WorldModelProgress:
    """What a gradient step showed."""

    iteration: int
    loss: float
    held_out_error: float | None
    """Mean L1 error of the last forecast step, where it was evaluated."""


def train_world_model(
    dataset: TransitionDataset,
    normaliser: StateNormaliser,
    settings: WorldModelSettings,
    run_folder: Path,
    *,
    seed: int,
    resume: bool = False,
    on_progress: Callable[[WorldModelProgress], None] | None = None,
) -> tuple[WorldModel, WorldModelFacts]:
    """Train on a data set; the best model on held-out episodes is saved in `run_folder`.

    Batches depend only on the seed and the iteration, so a resumed run continues as an unbroken
    one would.

    Raises:
        TransitionFileError: No episode is long enough for one sequence.
        ConfigError: The loss is not finite, or there is nothing to resume.
    """
    run_folder.mkdir(parents=True, exist_ok=True)
    train, validation = dataset.split(settings.validation_share, seed)
    sampler = SequenceSampler(train, normaliser, settings, seed=seed)
    held_out = _held_out_windows(validation, normaliser, settings, seed)
    torch.manual_seed(seed)
    model = WorldModel(
        Architecture(
            dataset.columns.state_size,
            dataset.columns.action.size,
            dataset.columns.contact.size,
            settings.members,
        )
    )
    optimiser = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    start, best = 0, math.inf
    if resume:
        start, best = _restore(run_folder, model, optimiser)
    facts = WorldModelFacts(
        spec=dataset.spec,
        architecture=model.architecture,
        normaliser=normaliser,
        history=settings.history,
        settings=asdict(settings) | {"seed": seed},
        data_sha256=tuple(dataset.file_sha256),
        iteration=start,
    )
    writer = SummaryWriter(str(run_folder / "tensorboard"))
    try:
        for iteration in range(start, settings.iterations):
            parts = _gradient_step(model, optimiser, sampler, settings, seed, iteration)
            done = iteration + 1
            error = None
            if done % settings.validate_every == 0 or done == settings.iterations:
                scores = evaluate(model, held_out, settings.history)
                error = scores["error_by_step"][-1]
                facts = WorldModelFacts(**{**vars(facts), "iteration": done, "held_out": scores})
                if error < best:
                    best = error
                    save_world_model(run_folder, model, facts)
                _save_resume(run_folder, model, optimiser, done, best)
                writer.add_scalar("held_out/error_last_step", error, done)
                writer.add_scalar(
                    "held_out/uncertainty", scores["uncertainty_std_sum"]["mean"], done
                )
            if done % 10 == 0:
                for name in ("total", "forecast", "history", "contact", "termination"):
                    writer.add_scalar(f"loss/{name}", float(getattr(parts, name).detach()), done)
            if on_progress is not None:
                on_progress(WorldModelProgress(done, float(parts.total.detach()), error))
    finally:
        writer.close()
    return model, facts


def _gradient_step(
    model: WorldModel,
    optimiser: torch.optim.Optimizer,
    sampler: SequenceSampler,
    settings: WorldModelSettings,
    seed: int,
    iteration: int,
) -> LossParts:
    for group in optimiser.param_groups:
        group["lr"] = _learning_rate(settings, iteration)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + iteration)
    batch = sampler.batch(iteration)
    parts = multi_step_loss(model, batch, settings, generator)
    loss = float(parts.total.detach())
    if not math.isfinite(loss):
        rows = sampler.last_starts[:8].tolist()
        raise ConfigError(
            f"the world model's loss is {loss} at iteration {iteration + 1}; the last good "
            f"checkpoint is kept (sequences start at rows {rows} …)",
            fix="Look at these rows with rwmu-data check, or lower the learning rate.",
        )
    optimiser.zero_grad(set_to_none=True)
    parts.total.backward()
    if settings.gradient_clip is not None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
    optimiser.step()
    return parts


def _learning_rate(settings: WorldModelSettings, iteration: int) -> float:
    if settings.final_learning_rate is None:
        return settings.learning_rate
    share = iteration / max(1, settings.iterations - 1)
    span = settings.learning_rate - settings.final_learning_rate
    return settings.final_learning_rate + 0.5 * span * (1.0 + math.cos(math.pi * share))


def _held_out_windows(
    validation: TransitionDataset,
    normaliser: StateNormaliser,
    settings: WorldModelSettings,
    seed: int,
) -> SequenceBatch:
    rows = settings.history + settings.forecast
    starts = window_starts(validation, rows)
    if len(starts) == 0:
        raise TransitionFileError(
            f"no held-out episode has {rows} rows in a row",
            fix="Record longer episodes or more of them.",
        )
    rng = np.random.default_rng(seed)
    chosen = rng.choice(starts, min(HELD_OUT_WINDOWS, len(starts)), replace=False)
    return sequence_batch(validation, normaliser, np.sort(chosen), rows)


def _save_resume(
    folder: Path, model: WorldModel, optimiser: torch.optim.Optimizer, done: int, best: float
) -> None:
    path = folder / "resume.safetensors"
    temporary = path.with_suffix(".tmp")
    save_file(
        training_state(model, optimiser),
        temporary,
        metadata={"progress": json.dumps({"iteration": done, "best": best})},
    )
    os.replace(temporary, path)


def _restore(
    folder: Path, model: WorldModel, optimiser: torch.optim.Optimizer
) -> tuple[int, float]:
    path = folder / "resume.safetensors"
    if not path.is_file():
        raise ConfigError(f"there is no file {path} to resume from", fix="Start without --resume.")
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        progress = json.loads((file.metadata() or {})["progress"])
    restore_training_state(model, optimiser, load_file(path))
    return int(progress["iteration"]), float(progress["best"])
