"""A world model that another one begins from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.world_model.checkpoint import (
    WorldModelFacts,
    load_world_model,
    world_model_sha256,
)
from rwmu_train.world_model.ensemble import WorldModel
from rwmu_train.world_model.fresh_model import fresh_model
from rwmu_train.world_model.settings import WorldModelSettings


@dataclass(frozen=True)
class WorldModelStart:
    """Where fine-tuning begins."""

    model: WorldModel
    facts: WorldModelFacts
    sha256: str
    """Of its weights."""

    def sizes_into(self, settings: WorldModelSettings) -> WorldModelSettings:
        """The settings of another training, for a model of this one's sizes."""
        its = self.model.architecture
        return replace(
            settings,
            members=its.members,
            layers=its.layers,
            hidden=its.hidden,
            head_hidden=its.head_hidden,
            trunks=its.trunks,
            auxiliary=its.auxiliary,
            residual=its.residual,
            history=self.facts.history,
        )


def load_start(folder: Path, spec: RobotSpec) -> WorldModelStart:
    """Read a trained world model to begin from.

    Raises:
        CheckpointError: It is missing, altered, or of another robot.
    """
    model, facts = load_world_model(folder, spec)
    return WorldModelStart(model, facts, world_model_sha256(folder))


def first_model(
    dataset: TransitionDataset,
    normaliser: StateNormaliser,
    settings: WorldModelSettings,
    start: WorldModelStart | None,
) -> WorldModel:
    """Random weights, or those of the start; it knows the states of both data sets.

    Raises:
        ConfigError: The start has another architecture or normaliser than is asked for.
    """
    model = fresh_model(dataset, normaliser, settings)
    if start is None:
        return model
    theirs, ours = start.model.architecture, model.architecture
    if theirs != ours:
        raise ConfigError(
            f"the world model to begin from is {theirs}; allowed is {ours}",
            fix="Leave its sizes out of --set, and choose a loss that it was trained with.",
        )
    if start.facts.normaliser.to_dict() != normaliser.to_dict():
        raise ConfigError(
            "the world model to begin from has another normaliser than this training",
            fix="Leave --normaliser out: the one of the start goes on.",
        )
    lowest = torch.minimum(model.lowest_state, start.model.lowest_state)
    highest = torch.maximum(model.highest_state, start.model.highest_state)
    model.load_state_dict(start.model.state_dict())
    model.lowest_state.copy_(lowest)
    model.highest_state.copy_(highest)
    return model
