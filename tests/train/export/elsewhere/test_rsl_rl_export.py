"""What leaves as an rsl_rl checkpoint is loaded by rsl_rl's own runner and acts the same."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rsl_rl.env import VecEnv
from rsl_rl.modules import EmpiricalNormalization
from rsl_rl.runners import OnPolicyRunner
from tensordict import TensorDict

from rwmu_deploy.contract.errors import CheckpointError, ConfigError, RobotSpecError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.export import rsl_rl_export
from rwmu_train.export.check_observations import random_observations
from rwmu_train.export.parity import ParityError
from rwmu_train.export.rsl_rl_export import (
    agent_settings,
    rsl_rl_bytes,
    std_of_divisor,
    write_rsl_rl,
)
from rwmu_train.export.rsl_rl_file import read_rsl_rl_file
from rwmu_train.export.rsl_rl_import import network_of_file
from rwmu_train.policy.policy_checkpoint import PolicyFacts
from rwmu_train.policy.policy_network import PolicyNetwork

FILES = Path(__file__).parent / "rsl_rl_files"


class StandingStill(VecEnv):
    """As much of an environment as a runner asks before it plays."""

    num_envs, num_actions, max_episode_length = 2, 12, 10
    device, cfg = "cpu", {}

    def get_observations(self) -> TensorDict:
        return TensorDict({"policy": torch.zeros(2, 48)}, batch_size=[2])

    def step(self, actions: torch.Tensor) -> Any:
        raise AssertionError("a policy is loaded and asked, and nothing moves")


def runner(*, normalised: bool) -> OnPolicyRunner:
    """rsl_rl's runner, set as `agent_settings` says, in the words of rsl_rl 5."""
    network = {"class_name": "MLPModel", "hidden_dims": [128, 128, 128], "activation": "elu"}
    noise = {"class_name": "GaussianDistribution", "init_std": 0.5, "std_type": "scalar"}
    settings: dict[str, Any] = {
        "num_steps_per_env": 4,
        "save_interval": 50,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "actor": {**network, "obs_normalization": normalised, "distribution_cfg": noise},
        "critic": dict(network),
        "algorithm": {"class_name": "PPO", "rnd_cfg": None, "symmetry_cfg": None},
    }
    return OnPolicyRunner(StandingStill(), settings, log_dir=None, device="cpu")


def played(path: Path, observations: np.ndarray, *, normalised: bool) -> np.ndarray:
    """Actions of the policy that Isaac Lab's play script would run."""
    player = runner(normalised=normalised)
    player.load(str(path))
    policy = player.get_inference_policy(device="cpu")
    rows = TensorDict({"policy": torch.from_numpy(observations)}, batch_size=[len(observations)])
    with torch.no_grad():
        return policy(rows).numpy()


def clipped(actions: np.ndarray, network: PolicyNetwork) -> np.ndarray:
    """As a robot's joint limits do, of which rsl_rl knows nothing."""
    return np.clip(actions, network.action_lower.numpy(), network.action_upper.numpy())


@pytest.fixture(scope="module")
def observations(facts: PolicyFacts) -> np.ndarray:
    return random_observations(facts, 2000, np.random.default_rng(3))


def test_rsl_rls_runner_loads_it_and_acts_alike(
    network: PolicyNetwork, facts: PolicyFacts, observations: np.ndarray, tmp_path: Path
):
    path = tmp_path / "model_0.pt"
    compared = write_rsl_rl(path, network, facts)
    assert {name: entry.count for name, entry in compared.items()} == {
        "golden": 16,
        "random": 10_000,
        "extreme": 256,
    }
    assert agent_settings(network, fold_normaliser=False)["actor_obs_normalization"]
    acted = played(path, observations, normalised=True)
    assert np.array_equal(clipped(acted, network), network.action(observations))
    assert [entry.name for entry in tmp_path.iterdir()] == ["model_0.pt"]


@pytest.mark.usefixtures("quick_export")
def test_folded_normaliser_acts_alike_in_a_runner_that_normalises_nothing(
    network: PolicyNetwork, facts: PolicyFacts, observations: np.ndarray, tmp_path: Path
):
    path = tmp_path / "model_0.pt"
    write_rsl_rl(path, network, facts, fold_normaliser=True)
    assert not agent_settings(network, fold_normaliser=True)["actor_obs_normalization"]
    acted = played(path, observations, normalised=False)
    assert np.abs(clipped(acted, network) - network.action(observations)).max() <= 2e-5


@pytest.mark.usefixtures("quick_export")
def test_policy_without_normaliser_needs_none(
    network: PolicyNetwork, facts: PolicyFacts, observations: np.ndarray, tmp_path: Path
):
    plain = PolicyNetwork(facts.robot)
    plain.mlp.load_state_dict(network.mlp.state_dict())
    path = tmp_path / "model_0.pt"
    write_rsl_rl(path, plain, facts)
    assert not agent_settings(plain, fold_normaliser=False)["actor_obs_normalization"]
    acted = played(path, observations, normalised=False)
    assert np.array_equal(clipped(acted, plain), plain.action(observations))


@pytest.mark.usefixtures("quick_export")
def test_training_goes_on_without_moving_the_normaliser(
    network: PolicyNetwork, facts: PolicyFacts, tmp_path: Path
):
    path = tmp_path / "model_0.pt"
    write_rsl_rl(path, network, facts)
    player = runner(normalised=True)
    player.load(str(path))
    actor = player.alg.get_policy()
    before = actor.obs_normalizer(torch.ones(1, 48))
    actor.train()
    rows = TensorDict({"policy": torch.full((4096, 48), 5.0)}, batch_size=[4096])
    actor.update_normalization(rows)
    torch.testing.assert_close(actor.obs_normalizer(torch.ones(1, 48)), before, rtol=0, atol=0.01)


def test_names_and_shapes_of_rsl_rl_3_are_those_of_its_own_file(
    network: PolicyNetwork, facts: PolicyFacts
):
    """`3.3.0.pt` was saved by that release, with hidden layers of 4 and a normalised critic."""
    small = PolicyNetwork(facts.robot, (4,))
    small.observation_std.fill_(2.0)
    theirs = torch.load(FILES / "3.3.0.pt", weights_only=True)
    ours = _document(small, facts.robot, version="3")
    assert set(ours) == set(theirs)
    shapes = {name: tuple(tensor.shape) for name, tensor in ours["model_state_dict"].items()}
    assert shapes == {
        name: tuple(tensor.shape)
        for name, tensor in theirs["model_state_dict"].items()
        if not name.startswith("critic_obs_normalizer.")
    }
    group, their_group = (
        entry["optimizer_state_dict"]["param_groups"][0] for entry in (ours, theirs)
    )
    assert group["params"] == their_group["params"]
    assert set(group) == set(their_group)


def _document(
    network: PolicyNetwork, robot: RobotSpec, *, version: str, joint_order: Any = None
) -> dict[str, Any]:
    content = rsl_rl_bytes(
        network, robot, version=version, joint_order=joint_order, fold_normaliser=False
    )
    return torch.load(io.BytesIO(content), weights_only=True)


@pytest.mark.usefixtures("quick_export")
@pytest.mark.parametrize("version", ["5", "3"])
def test_leaving_and_coming_back_changes_no_number(
    network: PolicyNetwork, facts: PolicyFacts, tmp_path: Path, version: str
):
    rng = np.random.default_rng(6)
    for index in range(2):
        order = tuple(facts.robot.joint_names[i] for i in rng.permutation(12))
        path = tmp_path / f"model_{index}.pt"
        write_rsl_rl(path, network, facts, version=version, joint_order=order)
        back = network_of_file(read_rsl_rl_file(path), facts.robot, "elu", order)
        for name, tensor in network.state_dict().items():
            assert torch.equal(back.state_dict()[name], tensor), name


def test_another_joint_order_by_hand(robot: RobotSpec):
    """Joint 11's position commands joint 10; backwards, those are joints 0 and 1."""
    network = PolicyNetwork(robot, (1,))
    with torch.no_grad():
        for parameter in network.mlp.parameters():
            parameter.zero_()
        state = network.mlp.state_dict()
        state["0.weight"][0, 23] = 1.0
        state["2.weight"][10, 0] = 2.0
    network.observation_mean[23] = 0.1
    network.observation_std[23] = 0.5
    document = _document(network, robot, version="5", joint_order=robot.joint_names[::-1])
    actor = document["actor_state_dict"]
    assert actor["mlp.0.weight"].nonzero().tolist() == [[0, 12]]
    assert actor["mlp.2.weight"].nonzero().tolist() == [[1, 0]]
    assert actor["obs_normalizer._mean"][0, 12] == pytest.approx(0.1)
    assert actor["obs_normalizer._std"][0, 12] == pytest.approx(0.49)


def test_joint_order_of_other_joints_is_refused(
    network: PolicyNetwork, facts: PolicyFacts, tmp_path: Path
):
    names = facts.robot.joint_names
    for order, error in ((names[1:], RobotSpecError), ((*names, "ARM"), CheckpointError)):
        with pytest.raises(error):
            write_rsl_rl(tmp_path / "model.pt", network, facts, joint_order=order)


def test_every_divisor_of_rsl_rl_is_met_to_the_last_bit():
    eps = EmpiricalNormalization(1).eps
    # Neighbours, among them sums that lie half way between two float32 numbers.
    first = torch.tensor([0.0, 1e-6, 0.004, 0.03, 0.04, 0.7, 30.0]).view(torch.int32)
    std = (first[:, None] + torch.arange(5000, dtype=torch.int32)).view(torch.float32)
    assert torch.equal(std_of_divisor(std + eps) + eps, std + eps)


@pytest.mark.usefixtures("quick_export")
def test_divisor_that_rsl_rl_cannot_have_is_refused_unless_folded(
    network: PolicyNetwork, facts: PolicyFacts, tmp_path: Path
):
    sharp = PolicyNetwork(facts.robot)
    sharp.mlp.load_state_dict(network.mlp.state_dict())
    sharp.observation_std[3] = 0.005
    with pytest.raises(CheckpointError, match=r"divided by 0.005; allowed is 0.01 or more"):
        write_rsl_rl(tmp_path / "model.pt", sharp, facts)
    write_rsl_rl(tmp_path / "model.pt", sharp, facts, fold_normaliser=True)


@pytest.mark.usefixtures("quick_export")
def test_file_that_acts_otherwise_is_not_left_behind(
    network: PolicyNetwork, facts: PolicyFacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rsl_rl_export, "std_of_divisor", lambda divisor: divisor)
    with pytest.raises(ParityError, match="differs by"):
        write_rsl_rl(tmp_path / "model.pt", network, facts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick_export")
def test_file_that_is_there_is_never_replaced(
    network: PolicyNetwork, facts: PolicyFacts, tmp_path: Path
):
    path = tmp_path / "model.pt"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="is there already"):
        write_rsl_rl(path, network, facts)
    assert path.read_text() == "mine"
    with pytest.raises(ConfigError, match="can't be written"):
        write_rsl_rl(tmp_path / "none" / "model.pt", network, facts)
