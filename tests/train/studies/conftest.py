"""Lets the tests of this folder share `tiny_study`, a tiny world model and a tiny run."""

import sys
from pathlib import Path

import pytest
import torch

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_train.policy.policy_checkpoint import PolicyFacts, save_policy
from rwmu_train.policy.policy_network import PolicyNetwork
from rwmu_train.transitions.normaliser import released_normaliser
from rwmu_train.world_model.settings import WorldModelSettings
from rwmu_train.world_model.training import train_world_model

sys.path.insert(0, str(Path(__file__).parent))


def tiny_model(small_dataset, folder: Path, members: int) -> Path:
    from tiny_study import TINY_WORLD_MODEL

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


@pytest.fixture(scope="session")
def online_run(spec, tmp_path_factory) -> Path:
    """Two stages and a last policy, of random weights."""
    run = tmp_path_factory.mktemp("online")
    facts = PolicyFacts(spec, "flat", CommandRange((-1,) * 3, (1,) * 3), "none", "run", 0)
    for folder in (run / "stages/iteration_1", run / "stages/iteration_2", run):
        torch.manual_seed(len(str(folder)))
        save_policy(folder, PolicyNetwork(spec, [4]), facts)
    return run
