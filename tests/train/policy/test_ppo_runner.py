"""rsl_rl's PPO, with what we add to it."""

from pathlib import Path

import pytest
import torch

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_train.environment.simulated_dynamics import SimulatedDynamics
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.policy.ppo_runner import PpoRunner
from rwmu_train.policy.ppo_settings import PpoSettings
from rwmu_train.task.velocity_task import (
    EpisodeTiming,
    ObservationNoise,
    RewardShape,
    find_task,
)

SPEC, TASK = load_robot_spec("anymal_d"), find_task("anymal_d_flat")


@pytest.fixture
def runner(tmp_path: Path):
    """A runner for four simulated robots with the given settings."""
    with RobotBatch(SPEC, 4, seed=0, threads=1) as batch:

        def make(**settings) -> PpoRunner:
            env = VelocityEnv(
                SPEC,
                TASK,
                EnvSettings(EpisodeTiming(), RewardShape(), ObservationNoise()),
                SimulatedDynamics(batch),
                seed=0,
            )
            return PpoRunner(env, PpoSettings(steps_per_iteration=8, **settings), tmp_path)

        yield make


def weights(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([value.detach().flatten().clone() for value in module.parameters()])


def test_the_critic_keeps_its_own_rate_while_the_actors_follows_the_kl(runner) -> None:
    ours = runner(iterations=3, learning_rate=1e-3, critic_learning_rate=4e-4)
    ours.train()
    actor, critic = (group["lr"] for group in ours.alg.optimizer.param_groups)
    assert critic == 4e-4
    assert actor == ours.alg.learning_rate
    assert actor != 1e-3


def test_the_critics_rate_is_the_size_of_its_first_step(runner) -> None:
    # Adam's first step moves every weight that has a gradient by the rate.
    ours = runner(
        iterations=1,
        epochs=1,
        minibatches=1,
        learning_rate=1e-6,
        critic_learning_rate=1e-2,
        desired_kl=1e9,
    )
    before = weights(ours.alg.actor), weights(ours.alg.critic)
    ours.train()
    moved = [
        (weights(part) - old).abs().max()
        for part, old in zip((ours.alg.actor, ours.alg.critic), before, strict=True)
    ]
    assert moved[0] < 1e-5
    assert moved[1] == pytest.approx(1e-2, rel=0.01)


def test_warm_up_moves_the_critic_and_not_the_actor(runner) -> None:
    ours = runner(iterations=2, critic_warm_up_iterations=2, critic_learning_rate=1e-3)
    actor, critic = weights(ours.alg.actor), weights(ours.alg.critic)
    ours.train()
    torch.testing.assert_close(weights(ours.alg.actor), actor, rtol=0.0, atol=0.0)
    assert not torch.equal(weights(ours.alg.critic), critic)
