"""Lets the tests of this folder share `tiny_study`, and a tiny world model."""

import sys
from pathlib import Path

import pytest

from rwmu_train.transitions.normaliser import released_normaliser
from rwmu_train.world_model.settings import WorldModelSettings
from rwmu_train.world_model.training import train_world_model

sys.path.insert(0, str(Path(__file__).parent))

TINY_WORLD_MODEL = {
    "iterations": 4,
    "batch_size": 40,
    "history": 8,
    "forecast": 3,
    "branches": 2,
    "branch_stride": 2,
    "hidden": 16,
    "head_hidden": 8,
    "validate_every": 2,
    "bootstrap": "by_episode",
    "loss": "huber",
}


def tiny_model(small_dataset, folder: Path, members: int) -> Path:
    settings = WorldModelSettings(**TINY_WORLD_MODEL, members=members)
    normaliser = released_normaliser(small_dataset.spec)
    train_world_model(small_dataset, normaliser, settings, folder, seed=0)
    return folder


@pytest.fixture(scope="session")
def five_members(small_dataset, tmp_path_factory) -> Path:
    return tiny_model(small_dataset, tmp_path_factory.mktemp("five"), members=5)


@pytest.fixture(scope="session")
def one_member(small_dataset, tmp_path_factory) -> Path:
    return tiny_model(small_dataset, tmp_path_factory.mktemp("one"), members=1)
