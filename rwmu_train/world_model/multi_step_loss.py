"""The training loss: history from data, then N steps from the model's own predictions.

Dual autoregressive training of RWM (arXiv:2501.10100, Eq. 3), for an ensemble.
Notation: L rows of a sequence, B sequences, T encoded inputs, R branches, E members,
m sequences a member learns from (B, or B / E when each sequence has one member), S, A, K, X, H as
in `ensemble.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rwmu_train.processes.process_share import ALONE, ProcessShare
from rwmu_train.world_model.batch_draws import BatchDraws
from rwmu_train.world_model.ensemble import TrunkMemory, WorldModel
from rwmu_train.world_model.member_lanes import MemberLanes
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
    extension: Tensor
    """Shape (L, B, X), in its own units."""

    def to(self, device: torch.device) -> SequenceBatch:
        """The same on a device."""
        return SequenceBatch(*(v.to(device, non_blocking=True) for v in vars(self).values()))


@dataclass(frozen=True)
class LossParts:
    """The loss and what it is made of (scalars, all detached but for `total` before the step)."""

    total: Tensor
    forecast: Tensor
    """Mean over forecasts and steps of the sum over state entries."""
    history: Tensor
    contact: Tensor
    termination: Tensor
    extension: Tensor
    """Mean squared error in normalised units; 0 without an extension."""

    def detached(self) -> LossParts:
        """The numbers alone."""
        return LossParts(*(value.detach().clone() for value in vars(self).values()))


def multi_step_loss(
    model: WorldModel,
    batch: SequenceBatch,
    settings: WorldModelSettings,
    generator: torch.Generator,
    share: ProcessShare = ALONE,
) -> LossParts:
    """Loss of a batch of sequences.

    With `bootstrap="by_episode"` the B sequences must be ordered by member: the first B / E belong
    to member 0, and so on.

    Args:
        model: The world model.
        batch: The sequences of this process.
        settings: How the loss is made up.
        generator: Of noise and bootstrap weights.
        share: What part of the whole batch `batch` is.
    """
    own = batch.state.shape[1] // settings.sequence_groups
    draws = BatchDraws(generator, share, own)
    lanes = MemberLanes(model.architecture, settings.bootstrap == "by_episode")
    weight = _bootstrap_weight(settings, model.architecture.members, draws, batch.state.device)
    steps = settings.encoded_steps
    history = batch.state[:steps]
    if settings.input_noise > 0.0:
        history = history + settings.input_noise * draws.normal_like_sequences(history)
    inputs = torch.cat([history, batch.action[1 : steps + 1]], dim=-1)

    trunk = model.state_trunk
    memory = trunk.sequence(lanes.for_trunk(inputs, model.architecture.trunk_count))
    layers = tuple(lanes.of_trunk(layer) for layer in memory)
    forecast, features = _forecast(model, batch, history, layers, settings, lanes, weight, draws)
    encoded = layers[-1]
    one_step = batch.state.new_zeros(())
    if settings.history_loss_weight > 0.0:
        late = slice(HISTORY_BURN_IN, None)
        present = lanes.for_members(history[late]).flatten(1, 2)
        target = lanes.for_members(batch.state[HISTORY_BURN_IN + 1 : steps + 1]).flatten(1, 2)
        seen = encoded[:, late].flatten(1, 2)
        one_step = _state_loss(
            model, seen, model.mean(seen, present), target, settings, draws
        ).mean()

    if model.auxiliary_trunk is None:
        rows = _forecast_rows(settings, inputs.device)[1:].flatten()
        seen = torch.cat([encoded.flatten(1, 2), *features[1:]], dim=1)
        row = torch.cat([torch.arange(1, steps + 1, device=rows.device), rows])
    else:
        every = torch.cat([history, batch.state[steps:-1]])
        every = torch.cat([every, batch.action[1:]], dim=-1)
        auxiliary = model.auxiliary_trunk.sequence(lanes.for_trunk(every, 1))
        seen = lanes.of_trunk(auxiliary[-1]).flatten(1, 2)
        row = torch.arange(1, settings.sequence_rows, device=inputs.device)
    contact, fall, extension = _auxiliary_losses(model, seen, batch, row, lanes, settings)
    total = (
        forecast
        + settings.history_loss_weight * one_step
        + settings.auxiliary_weight
        * (contact * batch.contact.shape[-1] + settings.termination_weight * fall + extension)
    )
    if model.log_std_bounds is not None:
        total = total + model.log_std_bounds.log_width.exp().mean()
    return LossParts(
        total, *(part.detach() for part in (forecast, one_step, contact, fall, extension))
    )


def _forecast_rows(settings: WorldModelSettings, device: torch.device) -> Tensor:
    """Row that each branch forecasts at each step, shape (N, R)."""
    branch = torch.arange(settings.branches, device=device)
    step = torch.arange(settings.forecast, device=device).unsqueeze(1)
    return settings.history + settings.branch_stride * branch + step


def _auxiliary_losses(
    model: WorldModel,
    features: Tensor,
    batch: SequenceBatch,
    row: Tensor,
    lanes: MemberLanes,
    settings: WorldModelSettings,
) -> tuple[Tensor, Tensor, Tensor]:
    """Of contacts, falls and extension at some rows, from features (E, rows * m, H)."""
    contact_logits, fall_logits, extension = model.auxiliary(features)

    def truth(values: Tensor) -> Tensor:
        return lanes.for_members(values[row]).flatten(1, 2)

    contact = functional.binary_cross_entropy_with_logits(contact_logits, truth(batch.contact))
    fall = functional.binary_cross_entropy_with_logits(
        fall_logits,
        truth(batch.termination.unsqueeze(-1)).squeeze(-1),
        pos_weight=torch.full((), settings.termination_positive_weight, device=row.device),
    )
    if extension.shape[-1] == 0:
        return contact, fall, batch.state.new_zeros(())
    error = (extension - truth(batch.extension)) / model.extension_std
    return contact, fall, error.square().mean()


def _bootstrap_weight(
    settings: WorldModelSettings, members: int, draws: BatchDraws, device: torch.device
) -> Tensor | None:
    """Weight of each forecast for each member, shape (E, R * B), or None for equal weights."""
    if settings.bootstrap == "poisson":
        weight = draws.poisson_weights(members)
    elif settings.bootstrap == "resample":
        weight = draws.resample_weights(members)
    else:
        return None
    weight = weight.to(device)
    return weight.expand(-1, settings.branches, -1).reshape(members, -1)


def _forecast(
    model: WorldModel,
    batch: SequenceBatch,
    history: Tensor,
    layers: tuple[Tensor, ...],
    settings: WorldModelSettings,
    lanes: MemberLanes,
    weight: Tensor | None,
    draws: BatchDraws,
) -> tuple[Tensor, list[Tensor]]:
    """Loss of the forecasts, and the features (E, R * m, H) of each of their steps.

    `layers` are the trunk's hidden states (E, T, m, H) along the history.
    """
    trunk, trunks = model.state_trunk, model.architecture.trunk_count
    rows = _forecast_rows(settings, history.device)
    start = rows[0] - 1
    memory = TrunkMemory(
        tuple(lanes.to_trunk(layer[:, start].flatten(1, 2), trunks) for layer in layers)
    )
    state = lanes.for_members(history[start]).flatten(1, 2)
    features = [lanes.back(memory.features)]
    losses, decay, decays = [], 1.0, 0.0
    for step, row in enumerate(rows):
        mean = model.mean(features[-1], state)
        target = lanes.for_members(batch.state[row]).flatten(1, 2)
        error = _state_loss(model, features[-1], mean, target, settings, draws)
        losses.append(decay * (error if weight is None else error * weight).mean())
        decays += decay
        decay *= settings.forecast_decay
        if step + 1 < settings.forecast:
            state = mean
            action = lanes.for_members(batch.action[row + 1]).flatten(1, 2)
            inputs = lanes.to_trunk(torch.cat([state, action], dim=-1), trunks)
            memory = trunk.step(inputs, memory)
            features.append(lanes.back(memory.features))
    return torch.stack(losses).sum() / decays, features


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
