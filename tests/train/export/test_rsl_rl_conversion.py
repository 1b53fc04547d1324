from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from rsl_rl.models import MLPModel
from rsl_rl.modules import EmpiricalNormalization
from tensordict import TensorDict
from torch import nn

from rwmu_deploy.contract.action import action_bounds
from rwmu_deploy.contract.errors import CheckpointError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.policy.policy_network import PolicyNetwork

GAUSSIAN = {"class_name": "rsl_rl.modules.distribution.GaussianDistribution", "std_type": "log"}


def _actor(*, normalised: bool, size: int = 48, joints: int = 12, **arguments) -> MLPModel:
    torch.manual_seed(4)
    rows = TensorDict({"policy": torch.randn(2048, size) * 3.0 + 1.0}, batch_size=[2048])
    settings: dict = {"hidden_dims": (32, 24), "distribution_cfg": dict(GAUSSIAN)} | arguments
    actor = MLPModel(
        rows, {"actor": ["policy"]}, "actor", joints, obs_normalization=normalised, **settings
    )
    with torch.no_grad():
        for parameter in actor.mlp.parameters():
            parameter *= 3.0
    actor.train()
    for start in range(0, 2048, 256):
        actor.update_normalization(rows[start : start + 256])
    return actor.eval()


def _normaliser(actor: MLPModel) -> EmpiricalNormalization:
    assert isinstance(actor.obs_normalizer, EmpiricalNormalization)
    return actor.obs_normalizer


def _observations(count: int) -> torch.Tensor:
    return torch.randn(count, 48, generator=torch.Generator().manual_seed(5)) * 3.0


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("distribution", [GAUSSIAN, None])
@pytest.mark.parametrize("activation", ["elu", "relu", "tanh"])
def test_converted_policy_is_the_actors_mean_and_our_clip(
    robot: RobotSpec, normalised: bool, distribution: dict | None, activation: str
):
    config = None if distribution is None else dict(distribution)
    actor = _actor(normalised=normalised, distribution_cfg=config, activation=activation)
    network = PolicyNetwork.from_rsl_rl(actor, robot)
    observations = _observations(10_000)
    with torch.no_grad():
        mean = actor(TensorDict({"policy": observations}, batch_size=[10_000]))
        wanted = torch.clamp(mean, network.action_lower, network.action_upper)
        assert torch.equal(network(observations), wanted)
    # The clip must bite in places and not everywhere, or nothing was compared.
    share = (wanted != mean).float().mean().item()
    assert 0.0 < share < 0.9
    assert bool((network.observation_mean != 0.0).any()) == normalised


def test_normaliser_divides_by_std_plus_a_hundredth(robot: RobotSpec):
    actor = _actor(normalised=True)
    network = PolicyNetwork.from_rsl_rl(actor, robot)
    normaliser = _normaliser(actor)
    torch.testing.assert_close(network.observation_std, normaliser.std + 0.01)
    torch.testing.assert_close(network.observation_mean, normaliser.mean)


def test_conversion_is_a_copy(robot: RobotSpec):
    actor = _actor(normalised=True)
    network = PolicyNetwork.from_rsl_rl(actor, robot)
    before = network(_observations(1))
    with torch.no_grad():
        next(actor.mlp.parameters()).zero_()
        _normaliser(actor).state_dict()["_mean"].zero_()
    assert torch.equal(network(_observations(1)), before)


def test_actor_of_another_size_is_refused(robot: RobotSpec):
    with pytest.raises(CheckpointError, match=r"sizes are \(47, 12\); allowed is \(48, 12\)"):
        PolicyNetwork.from_rsl_rl(_actor(normalised=False, size=47), robot)
    with pytest.raises(CheckpointError, match=r"sizes are \(48, 11\)"):
        PolicyNetwork.from_rsl_rl(_actor(normalised=False, joints=11), robot)


def test_actor_with_another_distribution_is_refused(robot: RobotSpec):
    beta = {"class_name": "rsl_rl.modules.distribution.BetaDistribution"}
    with pytest.raises(CheckpointError, match="Beta"):
        PolicyNetwork.from_rsl_rl(_actor(normalised=False, distribution_cfg=beta), robot)
    wide = {"class_name": "rsl_rl.modules.distribution.HeteroscedasticGaussianDistribution"}
    with pytest.raises(CheckpointError, match="Heteroscedastic"):
        PolicyNetwork.from_rsl_rl(_actor(normalised=False, distribution_cfg=wide), robot)


def test_actor_with_another_activation_is_refused(robot: RobotSpec):
    with pytest.raises(CheckpointError, match="activations"):
        PolicyNetwork.from_rsl_rl(_actor(normalised=False, activation="selu"), robot)
    actor = _actor(normalised=False)
    actor.mlp[1] = nn.ELU(alpha=0.5)
    with pytest.raises(CheckpointError, match="activations"):
        PolicyNetwork.from_rsl_rl(actor, robot)


def test_actor_that_diverged_is_refused(robot: RobotSpec):
    actor = _actor(normalised=True)
    with torch.no_grad():
        list(actor.mlp.parameters())[-1][0] = torch.inf
    with pytest.raises(CheckpointError, match=r"mlp\.4\.bias"):
        PolicyNetwork.from_rsl_rl(actor, robot)
    actor = _actor(normalised=True)
    _normaliser(actor).state_dict()["_mean"][0, 0] = torch.nan
    with pytest.raises(CheckpointError, match="observation_mean"):
        PolicyNetwork.from_rsl_rl(actor, robot)


def test_clip_is_the_nearest_float32_inside_the_joint_limits(robot: RobotSpec):
    network = PolicyNetwork(robot, (8,))
    lower, upper = action_bounds(robot)
    clip_lower, clip_upper = network.action_lower.numpy(), network.action_upper.numpy()
    assert (clip_lower.astype(np.float64) >= lower).all()
    assert (clip_upper.astype(np.float64) <= upper).all()
    np.testing.assert_allclose(clip_lower, lower, rtol=2e-7)
    np.testing.assert_allclose(clip_upper, upper, rtol=2e-7)


def test_clip_stays_inside_limits_that_float32_rounds_outwards(robot: RobotSpec):
    rounds_out = replace(robot.joints[0], lower_rad=-0.05, upper_rad=0.35)
    other = replace(robot, joints=(rounds_out, *robot.joints[1:]))
    lower, upper = action_bounds(other)
    assert np.float32(upper[0]) != upper[0]
    network = PolicyNetwork(other, (8,))
    assert float(network.action_lower[0]) >= lower[0]
    assert float(network.action_upper[0]) <= upper[0]


def test_small_network_by_hand(robot: RobotSpec):
    """One hidden unit: 2 * elu((obs_0 - 1) / 4) for every joint."""
    network = PolicyNetwork(robot, (1,))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        parameters = dict(network.mlp.named_parameters())
        parameters["0.weight"][0, 0] = 1.0
        parameters["2.weight"].fill_(2.0)
        network.observation_mean[0] = 1.0
        network.observation_std[0] = 4.0
    observation = np.zeros((2, 48), dtype=np.float32)
    observation[:, 0] = 2.0, -1.0
    action = network.action(observation)
    assert action[0, 4] == pytest.approx(0.5)
    assert action[1, 4] == pytest.approx(2.0 * (np.exp(-0.5) - 1.0))


def test_unknown_activation_and_no_layers_are_refused(robot: RobotSpec):
    with pytest.raises(CheckpointError, match="gelu"):
        PolicyNetwork(robot, (8,), "gelu")
    with pytest.raises(CheckpointError, match="hidden sizes"):
        PolicyNetwork(robot, ())
    with pytest.raises(CheckpointError, match="hidden sizes"):
        PolicyNetwork(robot, (8, 0))
