from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import CheckpointError
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_train.policy import policy_checkpoint
from rwmu_train.policy.policy_checkpoint import (
    PolicyFacts,
    load_policy,
    save_policy,
    weights_sha256,
)
from rwmu_train.policy.policy_network import PolicyNetwork


@pytest.fixture(scope="module")
def robot() -> RobotSpec:
    return load_robot_spec("anymal_d")


@pytest.fixture(scope="module")
def facts(robot: RobotSpec) -> PolicyFacts:
    rng = np.random.default_rng(0)
    return PolicyFacts(
        robot=robot,
        task="anymal_d_flat",
        command_range=CommandRange((-1.0, -0.7, -1.0), (1.0, 0.7, 1.0)),
        training_method="mopo_ppo",
        run_name="run-7",
        seed=7,
        observation_range=TrainingRange.of(rng.normal(size=(30, 48))),
        action_range=TrainingRange.of(rng.normal(size=(30, 12))),
        data_sha256={"state_action_data_0.csv": "ab" * 32},
        world_model_sha256="cd" * 32,
    )


def _network(robot: RobotSpec, seed: int) -> PolicyNetwork:
    torch.manual_seed(seed)
    network = PolicyNetwork(robot, (16, 8))
    network.observation_mean.normal_()
    network.observation_std.uniform_(0.1, 2.0)
    return network


@pytest.fixture
def saved(tmp_path: Path, robot: RobotSpec, facts: PolicyFacts) -> Path:
    save_policy(tmp_path / "run", _network(robot, 0), facts)
    return tmp_path / "run"


def _reseal(folder: Path, **changes) -> None:
    """Change facts and make their hash agree again."""
    path = folder / "policy.json"
    document = json.loads(path.read_text())
    document.pop("facts_sha256")
    path.write_bytes(policy_checkpoint._text({**document, **changes}))


def _refused(folder: Path, match: str | None) -> None:
    with pytest.raises(CheckpointError, match=match):
        load_policy(folder)


def test_policy_and_facts_come_back_exactly(saved: Path, robot: RobotSpec, facts: PolicyFacts):
    network, loaded = load_policy(saved)
    assert loaded == facts
    original = _network(robot, 0)
    for name, tensor in original.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor)
    observation = np.random.default_rng(1).normal(size=(50, 48)).astype(np.float32)
    assert np.array_equal(network.action(observation), original.action(observation))


def test_folder_holds_two_files_and_no_pickle(saved: Path):
    assert sorted(path.name for path in saved.iterdir()) == ["policy.json", "policy.safetensors"]


def test_facts_state_robot_terms_and_hashes(saved: Path, robot: RobotSpec):
    document = json.loads((saved / "policy.json").read_text())
    assert (document["robot_name"], document["robot_sha256"]) == ("anymal_d", robot.sha256)
    assert document["observation_terms"][4]["name"] == "joint_position_offset_rad"
    assert document["observation_terms"][4]["labels"] == list(robot.joint_names)
    assert document["weights_sha256"] == weights_sha256(load_policy(saved)[0])
    assert document["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize("name", ["policy.json", "policy.safetensors"])
def test_missing_file_is_named(saved: Path, name: str):
    (saved / name).unlink()
    _refused(saved, name)


def test_missing_folder_is_an_error_not_random_weights(tmp_path: Path):
    _refused(tmp_path / "none", "can't read")


@pytest.mark.parametrize("name", ["policy.json", "policy.safetensors"])
def test_every_flipped_bit_and_every_cut_is_refused(saved: Path, name: str, trials):
    original = (saved / name).read_bytes()
    rng = np.random.default_rng(3)
    for bit in rng.integers(0, 8 * len(original), 100):
        changed = bytearray(original)
        changed[bit // 8] ^= 1 << (bit % 8)
        (saved / name).write_bytes(changed)
        _refused(saved, None)
    for end in [0, *rng.integers(0, len(original) - 1, 30), len(original) - 1]:
        (saved / name).write_bytes(original[:end])
        _refused(saved, None)
    (saved / name).write_bytes(original)
    load_policy(saved)
    trials("T-26", 132)


def test_weights_of_another_run_are_refused(
    saved: Path, tmp_path: Path, robot: RobotSpec, facts: PolicyFacts
):
    save_policy(tmp_path / "other", _network(robot, 1), facts)
    shutil.copy(tmp_path / "other" / "policy.safetensors", saved)
    _refused(saved, "not of one policy")


def test_pickle_in_place_of_weights_is_never_run(saved: Path, tmp_path: Path, trials):
    class Payload:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "owned"),))

    torch.save(Payload(), saved / "policy.safetensors")
    data = (saved / "policy.safetensors").read_bytes()
    _reseal(saved, weights_sha256=policy_checkpoint.hashlib.sha256(data).hexdigest())
    _refused(saved, "not safetensors")
    assert not (tmp_path / "owned").exists()
    trials("T-26", 1)


def test_weights_of_other_sizes_are_refused(saved: Path):
    _reseal(saved, hidden_sizes=[16, 9])
    _refused(saved, r"mlp\.\d\.\w+")


def test_missing_and_unknown_weights_are_refused(saved: Path):
    state = safetensors.torch.load_file(saved / "policy.safetensors")
    for changed in (
        {name: value for name, value in state.items() if name != "observation_std"},
        {**state, "extra": torch.zeros(1)},
        {**state, "mlp.0.bias": state["mlp.0.bias"].double()},
    ):
        data = safetensors.torch.save(changed)
        (saved / "policy.safetensors").write_bytes(data)
        _reseal(saved, weights_sha256=policy_checkpoint.hashlib.sha256(data).hexdigest())
        _refused(saved, "allowed is")


def test_weights_that_are_not_finite_are_refused_by_load_and_save(
    saved: Path, robot: RobotSpec, facts: PolicyFacts
):
    network = _network(robot, 0)
    with torch.no_grad():
        next(network.mlp.parameters())[0, 0] = torch.nan
    with pytest.raises(CheckpointError, match=r"'mlp.0.weight' are not all finite"):
        save_policy(saved, network, facts)
    data = safetensors.torch.save(network.state_dict())
    (saved / "policy.safetensors").write_bytes(data)
    _reseal(saved, weights_sha256=policy_checkpoint.hashlib.sha256(data).hexdigest())
    _refused(saved, "not all finite")


def test_normaliser_that_divides_by_zero_is_refused(
    tmp_path: Path, robot: RobotSpec, facts: PolicyFacts
):
    network = _network(robot, 0)
    network.observation_std[5] = 0.0
    with pytest.raises(CheckpointError, match="observation_std is 0"):
        save_policy(tmp_path, network, facts)


def test_network_of_another_robot_is_refused(tmp_path: Path, robot: RobotSpec, facts: PolicyFacts):
    wider = replace(robot.joints[2], upper_rad=1.0)
    other = replace(robot, joints=(*robot.joints[:2], wider, *robot.joints[3:]))
    with pytest.raises(CheckpointError, match="action_upper"):
        save_policy(tmp_path, PolicyNetwork(other, (16, 8)), facts)
    fewer = replace(robot, joints=robot.joints[:-1])
    with pytest.raises(CheckpointError, match=r"\(45,\)"):
        save_policy(tmp_path, PolicyNetwork(fewer, (16, 8)), facts)


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("schema_version", 2, "schema_version"),
        ("robot_sha256", "0" * 64, "robot_sha256"),
        ("robot", {}, "misses"),
        ("activation", "gelu", "activation"),
        ("hidden_sizes", [], "hidden sizes"),
        ("hidden_sizes", None, "hidden|wrong kind"),
        ("observation_terms", [], "observation terms"),
        ("command_range", {"lower": [1, 0, 0], "upper": [0, 0, 0]}, "vx_mps"),
        ("training_range", {}, "wrong kind"),
        ("run_name", "../x", "run_name"),
    ],
)
def test_facts_that_make_no_sense_are_refused(saved: Path, key: str, value: object, match: str):
    _reseal(saved, **{key: value})
    _refused(saved, match)


def test_training_range_of_other_length_is_refused(facts: PolicyFacts):
    with pytest.raises(CheckpointError, match="12 entries; allowed are 48"):
        replace(facts, observation_range=facts.action_range)


@pytest.mark.parametrize("name", ["", "a/b", "..", "x" * 65, "a b", "a\nb"])
def test_run_name_that_could_be_a_path_is_refused(facts: PolicyFacts, name: str):
    with pytest.raises(CheckpointError, match="run_name"):
        replace(facts, run_name=name)


class _PowerCut(BaseException):
    pass


@pytest.mark.parametrize("first_save", [True, False])
@pytest.mark.parametrize("step", range(8))
def test_save_that_is_cut_at_any_step_leaves_a_policy_that_loads(
    tmp_path: Path,
    robot: RobotSpec,
    facts: PolicyFacts,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    first_save: bool,
    trials,
):
    """Every rename and every fsync is a step; the cut comes before it."""
    folder = tmp_path / "run"
    networks = [_network(robot, seed) for seed in range(4)]
    if not first_save:
        save_policy(folder, networks[0], replace(facts, seed=0))
        assert _cut(
            monkeypatch, step, lambda: save_policy(folder, networks[1], replace(facts, seed=1))
        )
        _assert_whole(folder, networks)
        # A second cut on top of the first.
        for second in range(10):
            _cut(
                monkeypatch,
                second,
                lambda: save_policy(folder, networks[2], replace(facts, seed=2)),
            )
            _assert_whole(folder, networks)
    else:
        _cut(monkeypatch, step, lambda: save_policy(folder, networks[0], replace(facts, seed=0)))
    save_policy(folder, networks[3], replace(facts, seed=3))
    assert load_policy(folder)[1].seed == 3
    _assert_whole(folder, networks)
    trials("T-26", 1 if first_save else 11)


def _cut(monkeypatch: pytest.MonkeyPatch, step: int, save) -> bool:
    """Whether the save was cut; a save with fewer steps ends."""
    left = step

    def before(function):
        def wrapped(*arguments, **keywords):
            nonlocal left
            left -= 1
            if left < 0:
                raise _PowerCut
            return function(*arguments, **keywords)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", before(os.replace))
        patch.setattr(os, "fsync", before(os.fsync))
        try:
            save()
        except _PowerCut:
            return True
    return False


def _assert_whole(folder: Path, networks: list[PolicyNetwork]) -> None:
    network, facts = load_policy(folder)
    assert weights_sha256(network) == weights_sha256(networks[facts.seed])
