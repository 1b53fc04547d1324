"""A world model before its first gradient step: random weights, and what the data say at once."""

from __future__ import annotations

import numpy as np
import torch

from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.world_model.ensemble import WorldModel
from rwmu_train.world_model.settings import WorldModelSettings

SMALLEST_EXTENSION_STD = 1.0e-3
"""A channel that hardly moves would otherwise turn noise into large targets."""


def fresh_model(
    dataset: TransitionDataset, normaliser: StateNormaliser, settings: WorldModelSettings
) -> WorldModel:
    """Weights from torch's generator; the range of states and the scale of the extension."""
    columns = dataset.columns
    sizes = (columns.state_size, columns.action.size, columns.contact.size, columns.extension.size)
    model = WorldModel(settings.architecture(*sizes))
    rows = dataset.member_rows()
    states = normaliser.normalise(torch.from_numpy(dataset.states[rows]))
    model.know_range(states.amin(0), states.amax(0))
    if columns.extension.size > 0:
        extension = dataset.rows[rows][:, columns.extension.slice]
        model.extension_mean.copy_(torch.from_numpy(extension.mean(axis=0)))
        std = np.maximum(extension.std(axis=0), SMALLEST_EXTENSION_STD)
        model.extension_std.copy_(torch.from_numpy(std))
    return model
