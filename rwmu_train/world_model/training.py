"""Train the world model: sample sequences, step, evaluate on held-out episodes, checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.world_model.batch_share import BatchShare
from rwmu_train.world_model.checkpoint import WorldModelFacts, save_world_model
from rwmu_train.world_model.data_parallel import average_over_processes, wait_for_all
from rwmu_train.world_model.ensemble import WorldModel
from rwmu_train.world_model.failed_step import not_finite
from rwmu_train.world_model.held_out import evaluate
from rwmu_train.world_model.multi_step_loss import LossParts, multi_step_loss
from rwmu_train.world_model.precision import keep_freed_memory, product_dtype
from rwmu_train.world_model.resume import Progress, restore, save_resume
from rwmu_train.world_model.sequence_sampler import SequenceSampler, sequence_batch
from rwmu_train.world_model.settings import WorldModelSettings
from rwmu_train.world_model.training_data import data_notes, divide, held_out_starts
from rwmu_train.world_model.training_events import TrainingEvents

HELD_OUT_WINDOWS = 1000
SMALLEST_EXTENSION_STD = 1.0e-3
"""A channel that hardly moves would otherwise turn noise into large targets."""


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
    share: BatchShare | None = None,
) -> tuple[WorldModel, WorldModelFacts]:
    """Train on a data set; the best model on held-out episodes is saved in `run_folder`.

    Batches depend only on the seed and the iteration, so a resumed run continues as an unbroken
    one would, and several processes (`joined_processes`) train as one. The first of them alone
    writes files, evaluates and calls `on_progress`.

    Raises:
        TransitionFileError: No episode is long enough for one sequence.
        ConfigError: The loss, a gradient or the held-out error is not finite, a batch does not
            divide among the processes, or there is nothing to resume, or not with these settings.
    """
    share = share or BatchShare()
    train, validation = divide(dataset, settings, seed)
    sampler = SequenceSampler(train, normaliser, settings, seed=seed, share=share)
    held_out = _HeldOut(validation, normaliser, settings, seed)
    torch.manual_seed(seed)
    keep_freed_memory()
    model = _fresh_model(dataset, settings)
    optimiser = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    dtype = product_dtype(settings.precision)
    run = {
        **asdict(settings),
        "precision": str(dtype).removeprefix("torch."),
        "seed": seed,
        "data_sha256": list(dataset.file_sha256),
    }
    begin = Progress(0, math.inf, run)
    if resume:
        begin = restore(run_folder, model, optimiser, run)
    best = begin.best
    facts = WorldModelFacts(
        spec=dataset.spec,
        architecture=model.architecture,
        normaliser=normaliser,
        history=settings.history,
        settings={name: value for name, value in run.items() if name != "data_sha256"},
        data_sha256=tuple(dataset.file_sha256),
        iteration=begin.iteration,
    )
    notes: Any = list(data_notes(dataset, settings, seed))
    events = TrainingEvents(run_folder if share.is_first else None)
    model.multiply_in(dtype)
    try:
        for iteration in range(begin.iteration, settings.iterations):
            parts = _gradient_step(model, optimiser, sampler, settings, seed, iteration, share)
            done = iteration + 1
            error = None
            is_checkpoint = done % settings.validate_every == 0 or done == settings.iterations
            if is_checkpoint and share.is_first:
                model.multiply_in(torch.float32)
                scores = {**held_out.scores(model, done), "notes": notes}
                model.multiply_in(dtype)
                error = scores["error_by_step"][-1]
                facts = replace(facts, iteration=done, held_out=scores)
                if error < best:
                    best = error
                    save_world_model(run_folder, model, facts)
                save_resume(run_folder, model, optimiser, Progress(done, best, run))
                events.held_out(scores, done)
            if is_checkpoint:
                wait_for_all(share)
            events.loss(parts, done)
            if on_progress is not None and share.is_first:
                on_progress(WorldModelProgress(done, float(parts.total), error))
    finally:
        events.close()
    return model, facts


def _fresh_model(dataset: TransitionDataset, settings: WorldModelSettings) -> WorldModel:
    columns = dataset.columns
    sizes = (columns.state_size, columns.action.size, columns.contact.size, columns.extension.size)
    model = WorldModel(settings.architecture(*sizes))
    if columns.extension.size > 0:
        extension = dataset.rows[dataset.member_rows()][:, columns.extension.slice]
        model.extension_mean.copy_(torch.from_numpy(extension.mean(axis=0)))
        std = np.maximum(extension.std(axis=0), SMALLEST_EXTENSION_STD)
        model.extension_std.copy_(torch.from_numpy(std))
    return model


def _gradient_step(
    model: WorldModel,
    optimiser: torch.optim.Optimizer,
    sampler: SequenceSampler,
    settings: WorldModelSettings,
    seed: int,
    iteration: int,
    share: BatchShare,
) -> LossParts:
    """One step, the same in every process; its loss is that of the whole batch, detached."""
    for group in optimiser.param_groups:
        group["lr"] = _learning_rate(settings, iteration)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + iteration)
    parts = multi_step_loss(model, sampler.batch(iteration), settings, generator, share)
    optimiser.zero_grad(set_to_none=True)
    parts.total.backward()
    parts = parts.detached()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    average_over_processes(share, [*vars(parts).values(), *gradients])
    limit = math.inf if settings.gradient_clip is None else settings.gradient_clip
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), limit)
    for what, value in (("loss", parts.total), ("gradient's norm", norm)):
        if not math.isfinite(value):
            raise sampler.not_finite(
                f"the world model's {what} is {float(value)} at iteration {iteration + 1}"
            )
    optimiser.step()
    return parts


def _learning_rate(settings: WorldModelSettings, iteration: int) -> float:
    if settings.final_learning_rate is None:
        return settings.learning_rate
    share = iteration / max(1, settings.iterations - 1)
    span = settings.learning_rate - settings.final_learning_rate
    return settings.final_learning_rate + 0.5 * span * (1.0 + math.cos(math.pi * share))


class _HeldOut:
    """Up to HELD_OUT_WINDOWS windows of the held-out episodes, always the same."""

    def __init__(
        self,
        validation: TransitionDataset,
        normaliser: StateNormaliser,
        settings: WorldModelSettings,
        seed: int,
    ) -> None:
        starts = held_out_starts(validation, settings)
        rng = np.random.default_rng(seed)
        chosen = rng.choice(starts, min(HELD_OUT_WINDOWS, len(starts)), replace=False)
        self._history, self._rows = settings.history, settings.history + settings.forecast
        self._validation, self._normaliser = validation, normaliser
        self._starts = np.sort(chosen)
        self._windows = sequence_batch(validation, normaliser, self._starts, self._rows)

    def scores(self, model: WorldModel, iteration: int) -> dict[str, Any]:
        """Scores of `evaluate`.

        Raises:
            ConfigError: The error that models are chosen by is not finite.
        """
        scores = evaluate(model, self._windows, self._history)
        error = scores["error_by_step"][-1]
        if not math.isfinite(error):
            raise not_finite(
                f"the held-out error is {error} at iteration {iteration}",
                self._validation,
                self._normaliser,
                self._starts,
                self._rows,
            )
        return scores
