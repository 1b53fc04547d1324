"""A policy that is held near its clone on the data."""

from pathlib import Path

import pytest
import torch

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_train.environment.observation_torch import ActorView
from rwmu_train.environment.simulated_dynamics import SimulatedDynamics
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.policy.clone_trust_region import CloneTrustRegion
from rwmu_train.policy.demonstrations import CloningSettings, Demonstrations
from rwmu_train.policy.ppo_runner import PpoRunner
from rwmu_train.policy.ppo_settings import PpoSettings
from rwmu_train.task.velocity_task import (
    EpisodeTiming,
    ObservationNoise,
    RewardShape,
    find_task,
)

SPEC, TASK = load_robot_spec("anymal_d"), find_task("anymal_d_flat")
DEMONSTRATIONS = Demonstrations(
    torch.randn(200, 48, generator=torch.Generator().manual_seed(0)), torch.zeros(200, 12)
)


def region(actor, weight: float = 2.0) -> CloneTrustRegion:
    view = ActorView(SPEC, ObservationNoise())
    return CloneTrustRegion(actor, DEMONSTRATIONS, view, weight=weight, batch_size=50, seed=0)


@pytest.fixture
def runner(tmp_path: Path):
    """A runner for four simulated robots."""
    with RobotBatch(SPEC, 4, seed=0, threads=1) as batch:

        def make(**settings) -> PpoRunner:
            torch.manual_seed(0)
            env = VelocityEnv(
                SPEC,
                TASK,
                EnvSettings(EpisodeTiming(), RewardShape(), ObservationNoise()),
                SimulatedDynamics(batch),
                seed=0,
            )
            return PpoRunner(env, PpoSettings(steps_per_iteration=8, **settings), tmp_path)

        yield make


def test_an_actor_does_not_diverge_from_itself(runner) -> None:
    actor = runner().actor
    assert region(actor).loss(actor, torch.full((12,), 0.5)).item() == 0.0


def test_the_divergence_of_two_gaussians_by_hand(runner) -> None:
    actor = runner().actor
    held = region(actor)
    with torch.no_grad():
        actor.mlp[-1].bias += 0.3
    # 12 joints off by 0.3 at a deviation of 0.5: 12 * 0.6^2 / 2, times the weight.
    loss = held.loss(actor, torch.full((12,), 0.5))
    assert loss.item() == pytest.approx(2.0 * 12 * 0.36 / 2, rel=1e-5)


def moved(runner, weight: float | None) -> float:
    ours = runner(iterations=3, learning_rate=1e-3, desired_kl=1e3)
    before = [each.detach().clone() for each in ours.actor.mlp.parameters()]
    if weight is not None:
        ours.add_actor_loss(region(ours.actor, weight).loss)
    ours.train()
    after = ours.actor.mlp(DEMONSTRATIONS.observation).detach()
    with torch.no_grad():
        for parameter, value in zip(ours.actor.mlp.parameters(), before, strict=True):
            parameter.copy_(value)
    return (after - ours.actor.mlp(DEMONSTRATIONS.observation)).square().mean().item()


def test_ppo_moves_less_on_the_data_the_tighter_it_is_held(runner) -> None:
    free, loose, tight = moved(runner, None), moved(runner, 0.1), moved(runner, 100.0)
    assert tight < 0.5 * free
    assert tight < loose < free


def test_the_critics_warm_up_leaves_a_held_actor_as_it_is(runner) -> None:
    ours = runner(iterations=2, critic_warm_up_iterations=2)
    ours.add_actor_loss(region(ours.actor).loss)
    before = torch.cat([p.detach().flatten().clone() for p in ours.actor.parameters()])
    ours.train()
    after = torch.cat([p.detach().flatten() for p in ours.actor.parameters()])
    assert torch.equal(before, after)


@pytest.mark.parametrize("wrong", [-0.1, float("nan"), float("inf")])
def test_a_weight_that_would_set_ppo_free_in_silence_is_refused(wrong) -> None:
    with pytest.raises(ConfigError, match=r"trust_region_weight is .*allowed is 0 up"):
        CloningSettings(trust_region_weight=wrong)
