"""Checkpoints as rsl_rl writes them, small, which a test may spoil."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_train.export.rsl_rl_import import StatedFacts

State = dict[str, Tensor]


@pytest.fixture
def actor_state() -> State:
    """`actor_state_dict` of rsl_rl 4 and 5: 48 inputs, 5 hidden units, 12 outputs, normalised."""
    torch.manual_seed(7)
    std = torch.rand(1, 48) + 0.5
    return {
        "obs_normalizer._mean": torch.randn(1, 48),
        "obs_normalizer._var": std.square(),
        "obs_normalizer._std": std,
        "obs_normalizer.count": torch.tensor(1000),
        "distribution.std_param": torch.ones(12),
        "mlp.0.weight": 0.3 * torch.randn(5, 48),
        "mlp.0.bias": torch.randn(5),
        "mlp.2.weight": 0.3 * torch.randn(12, 5),
        "mlp.2.bias": torch.randn(12),
    }


@pytest.fixture
def model_state(actor_state: State) -> State:
    """The same actor in `model_state_dict` of rsl_rl 3, beside a critic."""
    names = {"mlp.": "actor.", "obs_normalizer.": "actor_obs_normalizer."}
    state = {
        new + name.removeprefix(old): tensor
        for name, tensor in actor_state.items()
        for old, new in names.items()
        if name.startswith(old)
    }
    return {**state, "std": torch.ones(12), "critic.0.weight": torch.randn(3, 60)}


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Writes a document as rsl_rl does."""

    def save(document: Any, name: str = "model_1499.pt") -> Path:
        torch.save(document, tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture
def stated() -> StatedFacts:
    return StatedFacts(CommandRange((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)))
