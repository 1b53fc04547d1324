"""Online PPO may begin from what another policy does."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.observation import observation_terms
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_train.environment.simulated_dynamics import SimulatedDynamics
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.gait.gait_teacher import load_gait_teacher
from rwmu_train.policy.ppo_runner import PpoRunner, seed_everything
from rwmu_train.policy.teacher import Teacher
from rwmu_train.presets import online_preset
from rwmu_train.reference import taught_start
from rwmu_train.reference.online_ppo import train_online
from rwmu_train.reference.standing_policy import standing_policy
from rwmu_train.reference.taught_start import learn_from
from rwmu_train.task.velocity_task import (
    EpisodeTiming,
    ObservationNoise,
    RewardShape,
    find_task,
)

TASK = find_task("g1_flat")
SETTINGS = replace(online_preset(TASK).ppo, iterations=2, steps_per_iteration=4)


@pytest.fixture(scope="module")
def humanoid() -> RobotSpec:
    return load_robot_spec(TASK.robot)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taught_start, "CLONING", replace(taught_start.CLONING, steps=300))
    monkeypatch.setattr(taught_start, "ROUNDS", 2)


def taught(
    humanoid: RobotSpec, folder: Path, noise: ObservationNoise, normalise: bool = False
) -> tuple[torch.Tensor, torch.Tensor, PpoRunner]:
    """Observations without noise of robots that the teacher moves; its answers; the runner."""
    teacher = Teacher(folder, "", standing_policy(humanoid))
    seed_everything(0)
    settings = EnvSettings(EpisodeTiming(), RewardShape(), noise)
    with RobotBatch(humanoid, 32, seed=0, threads=1) as batch, torch.no_grad():
        env = VelocityEnv(humanoid, TASK, settings, SimulatedDynamics(batch), seed=0)
        ppo = replace(SETTINGS, normalise_observation=normalise)
        runner = PpoRunner(env, ppo, folder)
        with torch.enable_grad():
            learn_from(teacher, runner, env, seed=0)
        seen = []
        for _ in range(50):
            seen.append(env.get_observations()["critic"])
            env.step(teacher.act(seen[-1]))
    observation = torch.cat(seen)
    with torch.no_grad():
        return observation, teacher.act(observation), runner


def answers(runner: PpoRunner, observation: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return runner.actor.mlp(runner.actor.obs_normalizer(observation))


@pytest.mark.parametrize("normalise", [False, True])
def test_a_taught_actor_answers_as_its_teacher(
    humanoid: RobotSpec, tmp_path: Path, normalise: bool
) -> None:
    observation, expected, runner = taught(humanoid, tmp_path, ObservationNoise(), normalise)
    error = (answers(runner, observation) - expected).square().mean().sqrt()
    assert error < 0.2 * expected.std()


def test_noise_teaches_no_smaller_gains(humanoid: RobotSpec, tmp_path: Path) -> None:
    """Taught the answer to the truth behind a noisy joint velocity, an actor would damp less."""
    observation, expected, runner = taught(humanoid, tmp_path, ObservationNoise())
    knock = torch.zeros(observation.shape[1])
    (joints,) = (t for t in observation_terms(humanoid) if t.name == "joint_velocity_radps")
    knock[joints.slice] = 1.0
    asked = standing_policy(humanoid)(observation + knock) - expected
    given = answers(runner, observation + knock) - answers(runner, observation)
    slope = (asked * given).sum() / asked.square().sum()
    assert slope.item() == pytest.approx(1.0, abs=0.1)


def test_what_the_actor_does_not_see_its_teacher_does(
    humanoid: RobotSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On the teacher's path alone: a pupil so short of lessons falls, and its answers with it.
    monkeypatch.setattr(taught_start, "ROUNDS", 1)
    monkeypatch.setattr(taught_start, "CLONING", replace(taught_start.CLONING, steps=500))
    blind = ObservationNoise(unseen=("base_linear_velocity_mps",))
    observation, expected, runner = taught(humanoid, tmp_path, blind)
    (hidden,) = (t for t in observation_terms(humanoid) if t.name == "base_linear_velocity_mps")
    first = next(runner.actor.mlp.parameters())
    assert (first[:, hidden.slice] == 0.0).all()
    seen = observation.clone()
    seen[:, hidden.slice] = 0.0
    error = (answers(runner, seen) - expected).square().mean().sqrt()
    assert error < 0.6 * expected.std()


def test_training_begins_taught_and_goes_on_from_the_same_teacher_only(
    humanoid: RobotSpec, tmp_path: Path
) -> None:
    teacher = Teacher(tmp_path, "a" * 64, standing_policy(humanoid))
    run = tmp_path / "run"
    held = replace(SETTINGS, critic_warm_up_iterations=2, checkpoint_every=1)
    policy = train_online(humanoid, TASK, held, run, robots=16, seed=0, teacher=teacher)
    upright = torch.zeros(1, policy.observation_size)
    upright[0, 8] = -1.0
    torch.testing.assert_close(policy(upright), teacher.act(upright), atol=0.2, rtol=0.0)
    more = replace(held, iterations=3)
    for other in (None, replace(teacher, sha256="b" * 64)):
        with pytest.raises(ConfigError, match=r"teacher_sha256 a+; now it is"):
            train_online(
                *(humanoid, TASK, more, run), robots=16, seed=0, teacher=other, resume=True
            )
    train_online(humanoid, TASK, more, run, robots=16, seed=0, teacher=teacher, resume=True)


def test_taught_by_a_gait_it_walks(
    humanoid: RobotSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taught_start, "CLONING", replace(taught_start.CLONING, steps=1500))
    seed_everything(0)
    settings = EnvSettings(EpisodeTiming(), RewardShape(), ObservationNoise())
    steps = []
    with RobotBatch(humanoid, 64, seed=0, threads=2) as batch:
        env = VelocityEnv(humanoid, TASK, settings, SimulatedDynamics(batch), seed=0)
        ppo = replace(SETTINGS, normalise_observation=True, initial_std=0.1)
        runner = PpoRunner(env, ppo, tmp_path)
        error = learn_from(
            load_gait_teacher(humanoid), runner, env, seed=0, on_step=lambda *at: steps.append(at)
        )
        feet = [humanoid.contact_names.index(name) for name in humanoid.foot_names]
        fell, lifted = torch.zeros(64, dtype=torch.bool), torch.zeros(64, 2, dtype=torch.bool)
        with torch.no_grad():
            for _ in range(100):
                seen = env.get_observations()["policy"]
                outcome = env.step(answers(runner, seen))[3]["outcome"]
                fell |= outcome.fell
                lifted |= outcome.contact[:, feet] == 0.0
    assert [step for step, _ in steps] == list(range(1, 3001))
    assert error < 0.5
    assert fell.float().mean() < 0.5
    assert lifted.all(1).float().mean() > 0.9
