"""How well a world model predicts episodes that it has not seen.

Alignment is causal: state_t and action_{t+1} predict state_{t+1}. Errors are L1 sums over the
normalised state. E members, W windows, h forecast steps.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rwmu_train.world_model.ensemble import WorldModel, epistemic_uncertainty
from rwmu_train.world_model.multi_step_loss import SequenceBatch

QUANTILES = (0.5, 0.9, 0.95, 0.99)


def evaluate_in_float32(model: WorldModel, windows: SequenceBatch, history: int) -> dict[str, Any]:
    """`evaluate` of a model in training, wherever and in whatever precision it trains."""
    exact = copy.deepcopy(model).cpu()
    exact.multiply_in(torch.float32)
    return evaluate(exact, windows, history)


@torch.no_grad()
def evaluate(model: WorldModel, windows: SequenceBatch, history: int) -> dict[str, Any]:
    """Errors, uncertainty and contact scores over windows of `history + h` rows.

    Member e predicts windows e, e + E, ...: each window is followed by one member, as in
    imagination.

    Returns:
        `error_by_step` and `hold_last_by_step` (lists over h), `uncertainty` (mean and quantiles),
        `pearson` of uncertainty against error over all points (None with one member, which is
        never uncertain, and where not all are finite), contact accuracy, and recall and precision
        of falls.
    """
    steps = windows.state.shape[0] - history
    count = windows.state.shape[1]
    member = torch.arange(count) % model.architecture.members
    own = torch.arange(count)
    inputs = torch.cat([windows.state[:history], windows.action[1 : history + 1]], dim=-1)
    memory = model.replay(inputs)
    state = windows.state[history - 1]
    errors, uncertainties, hold = [], [], []
    for step in range(steps):
        means = model.next_state(memory, state)
        state = means[member, own]
        target = windows.state[history + step]
        errors.append((state - target).abs().sum(-1))
        hold.append((windows.state[history - 1] - target).abs().sum(-1).mean())
        uncertainties.append(epistemic_uncertainty(means))
        if step + 1 < steps:
            action = windows.action[history + step + 1]
            memory = model.step(torch.cat([state, action], dim=-1), memory)
    error, uncertainty = torch.stack(errors), torch.stack(uncertainties)
    # Contacts and falls from true states, to the windows' end: a fall is an episode's last row.
    every = torch.cat([windows.state[:-1], windows.action[1:]], dim=-1)
    features = model.auxiliary_sequence(every)[:, 8:].flatten(1, 2)
    contact, fall = model.contact_and_termination_logits(features)
    truth = windows.contact[9:].reshape(-1, contact.shape[-1])
    contact_right = ((contact.mean(0) > 0) == (truth > 0.5)).float().mean()
    said, fell = fall.mean(0) > 0, windows.termination[9:].reshape(-1) > 0.5
    return {
        "windows": count,
        "error_by_step": error.mean(1).tolist(),
        "hold_last_by_step": [float(value) for value in hold],
        "uncertainty_std_sum": _quantiles(uncertainty),
        "pearson": _pearson(error, uncertainty),
        "contact_accuracy": float(contact_right),
        "falls": int(fell.sum()),
        "fall_recall": _share(said & fell, fell),
        "fall_precision": _share(said & fell, said),
    }


def _pearson(error: Tensor, uncertainty: Tensor) -> float | None:
    if not (uncertainty.any() and error.isfinite().all() and uncertainty.isfinite().all()):
        return None
    return float(np.corrcoef(error.flatten(), uncertainty.flatten())[0, 1])


def _quantiles(values: Tensor) -> dict[str, float]:
    flat = values.flatten()
    return {"mean": float(flat.mean())} | {
        f"q{round(q * 100)}": float(np.quantile(flat.numpy(), q)) for q in QUANTILES
    }


def _share(part: Tensor, whole: Tensor) -> float | None:
    """Share of `whole` that is in `part`; None where there is nothing to share."""
    return float(part.sum() / whole.sum()) if whole.any() else None
