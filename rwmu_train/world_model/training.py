"""Train the world model: sample sequences, step, evaluate on held-out episodes, checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rwmu_train.processes.joined_processes import average_over_processes, wait_for_all
from rwmu_train.processes.process_share import ALONE, ProcessShare
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.world_model.checkpoint import WorldModelFacts, save_world_model
from rwmu_train.world_model.ensemble import WorldModel
from rwmu_train.world_model.held_out_windows import HeldOutWindows
from rwmu_train.world_model.multi_step_loss import LossParts, multi_step_loss
from rwmu_train.world_model.precision import keep_freed_memory, product_dtype
from rwmu_train.world_model.resume import Progress, restore, save_resume
from rwmu_train.world_model.sequence_sampler import SequenceSampler
from rwmu_train.world_model.settings import WorldModelSettings
from rwmu_train.world_model.start import WorldModelStart, first_model
from rwmu_train.world_model.training_data import data_notes, divide
from rwmu_train.world_model.training_events import TrainingEvents

LOOK_EVERY_ON_A_GPU = 10


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
    share: ProcessShare = ALONE,
    device: str = "cpu",
    start: WorldModelStart | None = None,
) -> tuple[WorldModel, WorldModelFacts]:
    """Train on a data set; the best model on held-out episodes is saved in `run_folder`.

    Batches depend only on the seed and the iteration, so a resumed run continues as an unbroken
    one would, and several processes (`joined_processes`) train as one. The first of them alone
    writes files, evaluates and calls `on_progress`.

    On a GPU the loss is looked at every tenth step only, for the host would wait for it; what is
    then found not to be finite may have begun up to nine steps before.

    With a start, training goes on from another model's weights instead of random ones.

    Raises:
        TransitionFileError: No episode is long enough for one sequence.
        ConfigError: The loss, a gradient or the held-out error is not finite, a batch does not
            divide among the processes, or there is nothing to resume, or not with these settings.
    """
    train, validation = divide(dataset, settings, seed)
    sampler = SequenceSampler(train, normaliser, settings, seed=seed, share=share)
    held_out = HeldOutWindows(validation, normaliser, settings, seed)
    torch.manual_seed(seed)
    keep_freed_memory()
    model = first_model(dataset, normaliser, settings, start).to(device)
    optimiser = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    dtype = product_dtype(settings.precision, device)
    run = {
        **asdict(settings),
        "precision": str(dtype).removeprefix("torch."),
        "seed": seed,
        "data_sha256": list(dataset.file_sha256),
    }
    if start is not None:
        run["start_sha256"] = start.sha256
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
    look_every = 1 if device == "cpu" else LOOK_EVERY_ON_A_GPU
    try:
        for iteration in range(begin.iteration, settings.iterations):
            done = iteration + 1
            is_checkpoint = done % settings.validate_every == 0 or done == settings.iterations
            looked_at = is_checkpoint or done % look_every == 0
            step = _gradient_step(model, optimiser, sampler, settings, seed, iteration, share)
            if looked_at:
                _refuse_not_finite(step, sampler, done)
            optimiser.step()
            error = None
            if is_checkpoint and share.is_first:
                scores = {**held_out.scores(model, done), "notes": notes}
                error = scores["error_by_step"][-1]
                facts = replace(facts, iteration=done, held_out=scores)
                if error < best:
                    best = error
                    save_world_model(run_folder, model, facts)
                save_resume(run_folder, model, optimiser, Progress(done, best, run))
                events.held_out(scores, done)
            if is_checkpoint:
                wait_for_all(share)
            if looked_at:
                events.loss(step.parts, done)
            if looked_at and on_progress is not None and share.is_first:
                on_progress(WorldModelProgress(done, float(step.parts.total), error))
    finally:
        events.close()
    model.multiply_in(torch.float32)
    return model, facts


@dataclass(frozen=True)
class _Step:
    parts: LossParts
    """Of the whole batch, detached."""
    gradient_norm: Tensor


def _gradient_step(
    model: WorldModel,
    optimiser: torch.optim.Optimizer,
    sampler: SequenceSampler,
    settings: WorldModelSettings,
    seed: int,
    iteration: int,
    share: ProcessShare,
) -> _Step:
    """Gradients of one step, the same in every process; the host waits for none of them."""
    for group in optimiser.param_groups:
        group["lr"] = _learning_rate(settings, iteration)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + iteration)
    batch = sampler.batch(iteration).to(model.lowest_state.device)
    parts = multi_step_loss(model, batch, settings, generator, share)
    optimiser.zero_grad(set_to_none=True)
    parts.total.backward()
    parts = parts.detached()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    average_over_processes(share, [*vars(parts).values(), *gradients])
    limit = math.inf if settings.gradient_clip is None else settings.gradient_clip
    return _Step(parts, torch.nn.utils.clip_grad_norm_(model.parameters(), limit))


def _refuse_not_finite(step: _Step, sampler: SequenceSampler, iteration: int) -> None:
    for what, value in (("loss", step.parts.total), ("gradient's norm", step.gradient_norm)):
        if not math.isfinite(value):
            raise sampler.not_finite(
                f"the world model's {what} is {float(value)} at iteration {iteration}"
            )


def _learning_rate(settings: WorldModelSettings, iteration: int) -> float:
    if settings.final_learning_rate is None:
        return settings.learning_rate
    share = iteration / max(1, settings.iterations - 1)
    span = settings.learning_rate - settings.final_learning_rate
    return settings.final_learning_rate + 0.5 * span * (1.0 + math.cos(math.pi * share))
