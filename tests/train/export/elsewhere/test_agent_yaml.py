"""agent.yaml of Isaac Lab, in the words of rsl_rl 2 to 5."""

from __future__ import annotations

from pathlib import Path

import pytest

from rwmu_deploy.contract.errors import CheckpointError
from rwmu_train.export.agent_yaml import AgentYaml, read_agent_yaml

OLD = """
seed: 42
empirical_normalization: {empirical}
clip_actions: {clip}
experiment_name: anymal_d_flat
policy:
  class_name: ActorCritic
  actor_obs_normalization: {own}
  actor_hidden_dims: [128, 128, 128]
  activation: elu
"""
NEW = """
seed: 7
obs_groups: !!python/object/apply:os.mkdir [/nowhere]
empirical_normalization: !!python/object:dataclasses._MISSING_TYPE {}
experiment_name: rough
policy: {}
actor:
  class_name: MLPModel
  hidden_dims: !!python/tuple [512, -1]
  activation: relu
  obs_normalization: true
  distribution_cfg: {class_name: GaussianDistribution, std_range: !!python/tuple [1.0e-6, 1.0e6]}
"""


def read(text: str, tmp_path: Path) -> AgentYaml:
    path = tmp_path / "agent.yaml"
    path.write_text(text)
    return read_agent_yaml(path)


def test_settings_of_rsl_rl_3(tmp_path: Path):
    agent = read(OLD.format(empirical="null", clip="null", own="false"), tmp_path)
    assert (agent.hidden_sizes, agent.activation) == ((128, 128, 128), "elu")
    assert (agent.normalises, agent.clip_actions) == (False, None)
    assert (agent.experiment, agent.seed) == ("anymal_d_flat", 42)


def test_settings_of_rsl_rl_5_are_read_and_no_object_in_them_is_made(tmp_path: Path):
    agent = read(NEW, tmp_path)
    assert (agent.hidden_sizes, agent.activation) == ((512, -1), "relu")
    assert (agent.normalises, agent.experiment, agent.seed) == (True, "rough", 7)


@pytest.mark.parametrize(
    ("empirical", "own", "meant"),
    [
        ("true", "null", True),
        ("false", "null", False),
        ("null", "true", True),
        ("true", "true", True),
        ("null", "null", None),
    ],
)
def test_either_key_says_whether_observations_were_normalised(
    tmp_path: Path, empirical: str, own: str, meant: bool | None
):
    agent = read(OLD.format(empirical=empirical, clip="null", own=own), tmp_path)
    assert agent.normalises is meant


def test_keys_that_contradict_each_other_are_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match="allowed is one answer"):
        read(OLD.format(empirical="true", clip="null", own="false"), tmp_path)


@pytest.mark.parametrize("clip", ["0", "-1.0", ".nan", ".inf", "wide", "true"])
def test_a_clip_that_is_none_is_refused(tmp_path: Path, clip: str):
    with pytest.raises(CheckpointError, match="clip_actions"):
        read(OLD.format(empirical="null", clip=clip, own="false"), tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2", "is not YAML"),
        ("", "names no hidden sizes"),
        ("- 1", "names no hidden sizes"),
        ("policy: {actor_hidden_dims: 128}", "names no hidden sizes"),
        ("policy: {actor_hidden_dims: [128, x]}", "names no hidden sizes"),
        ("policy: {actor_hidden_dims: [128]}", "has the activation None"),
        ("a: " + "x" * 1_000_001, "more than 1000000 bytes"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, said: str):
    with pytest.raises(CheckpointError, match=said):
        read(text, tmp_path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match="No such file"):
        read_agent_yaml(tmp_path / "agent.yaml")
