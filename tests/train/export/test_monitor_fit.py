from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rwmu_deploy.contract.bundle_world_model import WorldModelSession
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.export import monitor_fit
from rwmu_train.export.monitor_fit import fit_monitor, held_out_part
from rwmu_train.export.world_model_onnx import world_model_to_onnx
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.world_model.checkpoint import WorldModelFacts
from rwmu_train.world_model.ensemble import Architecture, WorldModel

HISTORY = 8


@pytest.fixture(scope="module")
def session(robot: RobotSpec) -> WorldModelSession:
    torch.manual_seed(5)
    model = WorldModel(Architecture(45, 12, 8, members=2, hidden=6, head_hidden=6, log_std="none"))
    normaliser = StateNormaliser(np.zeros(45, np.float32), np.ones(45, np.float32), "fitted")
    return WorldModelSession(world_model_to_onnx(model, normaliser, {}), robot)


@pytest.fixture(scope="module")
def walk(small_dataset: TransitionDataset) -> TransitionDataset:
    """Its 900 rows as two episodes."""
    return replace(
        small_dataset,
        episode_start=np.array([0, 450]),
        episode_end=np.array([450, 900]),
        episode_end_kind=("truncated", "truncated"),
    )


@pytest.fixture(autouse=True)
def modest_quantile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_fit, "QUANTILE", 0.99)


def test_the_thresholds_are_quantiles_of_what_the_robot_would_see(
    session: WorldModelSession, walk: TransitionDataset
):
    told: list[int] = []
    fitted = fit_monitor(session, walk, history_rows=HISTORY, on_rows=told.append)
    assert sum(told) == walk.row_count
    assert (fitted.quantile, fitted.history_rows, fitted.state_size) == (0.99, HISTORY, 45)
    assert fitted.recorded_by == "sim"
    followed = list(monitor_fit._follow(session, walk, HISTORY, lambda rows: None))
    seen = monitor_fit._statistics(followed, fitted, walk.spec.control_dt_s)
    assert len(seen) == fitted.rows
    for column, name in enumerate(("uncertainty", "jump", "drift")):
        beyond = (seen[:, column] > getattr(fitted, name).caution).mean()
        assert beyond == pytest.approx(0.01, abs=0.005)


def test_lost_lies_beyond_caution_and_a_jump_never_means_lost(
    session: WorldModelSession, walk: TransitionDataset
):
    fitted = fit_monitor(session, walk, history_rows=HISTORY)
    assert fitted.uncertainty.lost == pytest.approx(1.3 * fitted.uncertainty.caution)
    assert fitted.drift.lost == pytest.approx(10.0 * fitted.drift.caution)
    assert np.isinf(fitted.jump.lost)


def test_too_few_rows_for_the_quantile_are_refused(
    session: WorldModelSession, walk: TransitionDataset, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(monitor_fit, "QUANTILE", 0.999999)
    with pytest.raises(ConfigError, match=r"the quantile 0\.999999 needs 1000000.*Record 333"):
        fit_monitor(session, walk, history_rows=HISTORY)


def test_the_second_before_a_fall_is_not_ordinary(
    session: WorldModelSession, small_dataset: TransitionDataset
):
    def followed(end: str) -> int:
        ends = tuple(end for _ in small_dataset.episode_end_kind)
        data = replace(small_dataset, episode_end_kind=ends)
        episodes = monitor_fit._follow(session, data, HISTORY, lambda rows: None)
        return sum(len(episode.forecasts) for episode in episodes)

    assert followed("truncated") - followed("terminated") == 50 * len(small_dataset.episode_start)


def test_episodes_too_short_for_drift_are_refused(
    session: WorldModelSession, small_dataset: TransitionDataset
):
    with pytest.raises(ConfigError, match="much longer than 3 s"):
        fit_monitor(session, small_dataset, history_rows=HISTORY)


def _facts(robot: RobotSpec, *sha256: str) -> WorldModelFacts:
    ones = np.ones(45, np.float32)
    return WorldModelFacts(
        spec=robot,
        architecture=Architecture(45, 12, 8),
        normaliser=StateNormaliser(ones, ones, "fitted"),
        history=32,
        settings={"validation_share": 0.25, "seed": 3},
        data_sha256=sha256,
        iteration=1,
    )


def test_other_data_are_used_whole(robot: RobotSpec, small_dataset: TransitionDataset):
    assert held_out_part(small_dataset, _facts(robot, "0" * 64)) is small_dataset


def test_of_its_own_data_only_the_held_out_episodes_are_used(
    robot: RobotSpec, small_dataset: TransitionDataset
):
    own = held_out_part(small_dataset, _facts(robot, *small_dataset.file_sha256))
    assert 0 < own.row_count < small_dataset.row_count


def test_data_of_which_some_were_trained_on_are_refused(
    robot: RobotSpec, small_dataset: TransitionDataset
):
    with pytest.raises(ConfigError, match="held-out episodes can't be told"):
        held_out_part(small_dataset, _facts(robot, small_dataset.file_sha256[0], "0" * 64))
