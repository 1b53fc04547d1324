"""The training loss: history from data, then N steps from the model's own predictions.

Dual autoregressive training of RWM (arXiv:2501.10100, Eq. 3), for an ensemble.
Notation: L rows of a sequence, B sequences, T teacher-forced inputs, R branches, E members,
n sequences a member learns from (B, or B / E when each sequence has one member), S, A, K, H as in
`ensemble.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rwmu_train.world_model.batch_share import BatchDraws, BatchShare
from rwmu_train.world_model.ensemble import TrunkMemory, WorldModel
from rwmu_train.world_model.settings import WorldModelSettings

HISTORY_BURN_IN = 8
"""Rows of a history that are seen before one-step losses begin."""


@dataclass(frozen=True)
class SequenceBatch:
    """B training sequences, time first."""

    state: Tensor
    """Normalised, shape (L, B, S)."""
    action: Tensor
    """Shape (L, B, A); row t holds the action that produced state t."""
    contact: Tensor
    """0 or 1, shape (L, B, K)."""
    termination: Tensor
    """0 or 1, shape (L, B)."""


@dataclass(frozen=True)
class LossParts:
    """The loss and what it is made of (scalars, all detached but for `total` before the step)."""

    total: Tensor
    forecast: Tensor
    """Mean over forecasts and steps of the sum over state entries."""
    history: Tensor
    contact: Tensor
    termination: Tensor

    def detached(self) -> LossParts:
        """The numbers alone."""
        return LossParts(*(value.detach().clone() for value in vars(self).values()))


def multi_step_loss(
    model: WorldModel,
    batch: SequenceBatch,
    settings: WorldModelSettings,
    generator: torch.Generator,
    share: BatchShare | None = None,
) -> LossParts:
    """Loss of a batch of sequences.

    With `bootstrap="by_episode"` the B sequences must be ordered by member: the first B / E belong
    to member 0, and so on.

    Args:
        model: The world model.
        batch: The sequences of this process.
        settings: How the loss is made up.
        generator: Of noise and bootstrap weights.
        share: What part of the whole batch `batch` is; None: all of it.
    """
    members = _MemberGroups(model.architecture.members, settings.bootstrap == "by_episode")
    own = batch.state.shape[1] // settings.sequence_groups
    draws = BatchDraws(generator, share or BatchShare(), own)
    weight = _bootstrap_weight(settings, members, draws)
    steps = settings.teacher_forced_steps
    history = batch.state[:steps]
    if settings.input_noise > 0.0:
        history = history + settings.input_noise * draws.normal_like_sequences(history)
    inputs = torch.cat([history, batch.action[1 : steps + 1]], dim=-1)

    first, second = model.state_trunk.sequence(inputs)
    forecast = _forecast_loss(
        model, batch, history, first, second, settings, members, weight, draws
    )
    one_step = torch.zeros(())
    if settings.history_loss_weight > 0.0:
        features = members.group(second[HISTORY_BURN_IN:])
        present = members.group(history[HISTORY_BURN_IN:])
        target = members.group(batch.state[HISTORY_BURN_IN + 1 : steps + 1])
        error = _state_loss(
            model, features, model.mean(features, present), target, settings, draws
        )
        one_step = error.mean()

    _, auxiliary = model.auxiliary_trunk.sequence(inputs)
    contact_logits, fall_logits = model.contact_and_termination_logits(members.group(auxiliary))
    contact = functional.binary_cross_entropy_with_logits(
        contact_logits, members.group(batch.contact[1 : steps + 1])
    )
    fall = functional.binary_cross_entropy_with_logits(
        fall_logits,
        members.group(batch.termination[1 : steps + 1].unsqueeze(-1)).squeeze(-1),
        pos_weight=torch.tensor(settings.termination_positive_weight),
    )
    total = (
        forecast
        + settings.history_loss_weight * one_step
        + settings.auxiliary_weight * (contact * batch.contact.shape[-1] + fall)
    )
    return LossParts(total, forecast.detach(), one_step.detach(), contact.detach(), fall.detach())


class _MemberGroups:
    """Brings (T, B, D) to (E, T * n, D): all sequences for each member, or B / E each."""

    def __init__(self, members: int, split: bool) -> None:
        self.members, self.split = members, split

    def group(self, x: Tensor) -> Tensor:
        steps, batch, size = x.shape
        if not self.split:
            return x.reshape(1, steps * batch, size).expand(self.members, -1, -1)
        own = x.reshape(steps, self.members, batch // self.members, size)
        return own.transpose(0, 1).reshape(self.members, -1, size)


def _bootstrap_weight(
    settings: WorldModelSettings, members: _MemberGroups, draws: BatchDraws
) -> Tensor | None:
    """Weight of each forecast for each member, shape (E, R * B), or None for equal weights."""
    if settings.bootstrap == "poisson":
        weight = draws.poisson_weights(members.members)
    elif settings.bootstrap == "resample":
        weight = draws.resample_weights(members.members)
    else:
        return None
    return weight.expand(-1, settings.branches, -1).reshape(members.members, -1)


def _forecast_loss(
    model: WorldModel,
    batch: SequenceBatch,
    history: Tensor,
    first: Tensor,
    second: Tensor,
    settings: WorldModelSettings,
    members: _MemberGroups,
    weight: Tensor | None,
    draws: BatchDraws,
) -> Tensor:
    start = settings.history - 1 + settings.branch_stride * torch.arange(settings.branches)
    memory = TrunkMemory(members.group(first[start]), members.group(second[start]))
    state = members.group(history[start])
    losses, decay, decays = [], 1.0, 0.0
    for step in range(settings.forecast):
        mean = model.mean(memory.second, state)
        target = members.group(batch.state[start + step + 1])
        error = _state_loss(model, memory.second, mean, target, settings, draws)
        losses.append(decay * (error if weight is None else error * weight).mean())
        decays += decay
        decay *= settings.forecast_decay
        if step + 1 < settings.forecast:
            state = mean
            action = members.group(batch.action[start + step + 2])
            flat = torch.cat([state, action], dim=-1).flatten(0, 1)
            flat_memory = TrunkMemory(memory.first.flatten(0, 1), memory.second.flatten(0, 1))
            stepped = model.state_trunk.step(flat, flat_memory)
            shape = (*state.shape[:2], -1)
            memory = TrunkMemory(stepped.first.view(shape), stepped.second.view(shape))
    return torch.stack(losses).sum() / decays


def _state_loss(
    model: WorldModel,
    features: Tensor,
    mean: Tensor,
    target: Tensor,
    settings: WorldModelSettings,
    draws: BatchDraws,
) -> Tensor:
    """Loss per forecast summed over state entries, shape (E, n)."""
    if settings.loss == "huber":
        return functional.huber_loss(mean, target, reduction="none").sum(-1)
    if settings.loss == "mse":
        return (mean - target).square().sum(-1)
    log_std = model.log_std(features)
    if settings.loss == "sampled_mse":
        sample = mean + log_std.exp() * draws.normal_like(mean)
        return (sample - target).square().sum(-1)
    # gaussian_nll
    return (log_std + 0.5 * ((mean - target) / log_std.exp()).square()).sum(-1)
