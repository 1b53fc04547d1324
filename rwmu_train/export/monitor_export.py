"""The world model's part of a bundle: calibrated on held-out walking, and held against torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rwmu_deploy.contract.bundle_monitor import GOLDEN_STEPS, GoldenSteps, MonitorFacts
from rwmu_deploy.contract.bundle_world_model import WorldModelSession
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.one_step_forecast import OneStepForecast
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.export.monitor_fit import fit_monitor, held_out_part
from rwmu_train.export.parity import Comparison, ParityError
from rwmu_train.export.world_model_onnx import world_model_to_onnx
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.world_model.checkpoint import WEIGHTS, load_world_model
from rwmu_train.world_model.ensemble import Memory, WorldModel

FloatArray = NDArray[np.float64]

ROLLOUT_STEPS = 200
ALLOWED_DIFFERENCE = 1e-3
"""Of a forecast that was fed back for 200 steps, in normalised units."""


@dataclass(frozen=True)
class MonitorSource:
    """What a monitor is made of."""

    world_model: Path
    """Folder of a trained world model."""
    data: Sequence[Path]
    """Held-out transitions of a robot that walked well."""


@dataclass(frozen=True, eq=False)
class Monitor:
    """A calibrated world model, not yet written."""

    model: WorldModel
    normaliser: StateNormaliser
    facts: MonitorFacts
    walk: TransitionDataset
    """What it was calibrated on."""

    def to_onnx(self, metadata: dict[str, str]) -> bytes:
        """The bytes of world_model.onnx."""
        return world_model_to_onnx(self.model, self.normaliser, metadata)

    def compare(self, session: WorldModelSession) -> Comparison:
        """Hold a session against torch over a rollout that lives on its own forecasts.

        Raises:
            ParityError: A forecast differs by more than 1e-3 in normalised units.
        """
        first = int(self.walk.episode_start[np.argmax(self.walk.episode_length)])
        rows = np.arange(first, min(first + ROLLOUT_STEPS, len(self.walk.rows) - 1))
        follower = _Follower(self.model, self.normaliser)
        state = theirs = self.walk.states[first].astype(np.float64)
        memory, worst = session.empty_memory(), 0.0
        for row in rows:
            action = self.walk.actions[row + 1]
            wanted = follower.step(state, action)
            found, memory = session.step(theirs, action, memory)
            difference = max(
                float(np.abs(found.mean - wanted.mean).max()),
                float(np.abs(found.disagreement - wanted.disagreement).max()),
            )
            if not difference <= ALLOWED_DIFFERENCE:
                raise ParityError(
                    f"step {row - first}: the exported world model differs by {difference:.3g} "
                    f"from the trained one, allowed is {ALLOWED_DIFFERENCE:g}",
                    fix="Export again; do not run this bundle.",
                )
            worst = max(worst, difference)
            state = self.normaliser.denormalise(wanted.mean)
            theirs = self.normaliser.denormalise(found.mean)
        return Comparison(len(rows), worst, 0.0, ALLOWED_DIFFERENCE)


def make_monitor(
    source: MonitorSource, spec: RobotSpec, on_rows: Callable[[int, int], None] | None = None
) -> Monitor:
    """Calibrate a world model for a bundle.

    Args:
        source: World model and transitions.
        spec: The policy's robot.
        on_rows: Told how many rows more were followed, of how many.

    Raises:
        CheckpointError: The world model can't be trusted, or is of another robot.
        ConfigError: It has one member; or the data are too few, or those that it was trained on.
        TransitionFileError: The data can't be trusted.
    """
    model, facts = load_world_model(source.world_model, spec)
    if model.architecture.members < 2:
        raise ConfigError(
            f"{source.world_model} has one member, which disagrees with nobody; allowed is 2 up",
            fix="Train a world model with more members, or export without --world-model.",
        )
    model.multiply_in(torch.float32)
    walk = held_out_part(load_dataset(list(source.data), spec), facts)
    session = WorldModelSession(world_model_to_onnx(model, facts.normaliser, {}), spec)
    rows = walk.row_count
    calibration = fit_monitor(
        session,
        walk,
        history_rows=facts.history,
        on_rows=lambda more: None if on_rows is None else on_rows(more, rows),
    )
    return Monitor(
        model,
        facts.normaliser,
        MonitorFacts(
            calibration,
            hashlib.sha256((source.world_model / WEIGHTS).read_bytes()).hexdigest(),
            walk.file_sha256,
            _golden(model, facts.normaliser, walk),
        ),
        walk,
    )


class _Follower:
    """The trained world model, stepped as the exported one is."""

    def __init__(self, model: WorldModel, normaliser: StateNormaliser) -> None:
        self._model, self._normaliser = model, normaliser
        self._memory: Memory = model.empty_memory(1)

    def step(self, state: NDArray[np.floating], action: NDArray[np.floating]) -> OneStepForecast:
        with torch.no_grad():
            physical = torch.from_numpy(state.astype(np.float32))[None]
            normalised = self._normaliser.normalise(physical)
            acted = torch.from_numpy(action.astype(np.float32))[None]
            self._memory = self._model.step(torch.cat([normalised, acted], 1), self._memory)
            means = self._model.next_state(self._memory, normalised)[:, 0].double().numpy()
        mean, spread = means.mean(axis=0), means.std(axis=0, ddof=1)
        return OneStepForecast(normalised[0].double().numpy(), mean, spread, float("nan"))


def _golden(
    model: WorldModel, normaliser: StateNormaliser, walk: TransitionDataset
) -> GoldenSteps:
    first = int(walk.episode_start[np.argmax(walk.episode_length)])
    rows = np.arange(first, first + GOLDEN_STEPS)
    state = walk.states[rows].astype(np.float64)
    action = walk.actions[rows + 1].astype(np.float64)
    follower = _Follower(model, normaliser)
    forecasts = [follower.step(*step) for step in zip(state, action, strict=True)]
    return GoldenSteps(
        state,
        action,
        np.stack([forecast.mean for forecast in forecasts]),
        np.stack([forecast.disagreement for forecast in forecasts]),
    )
