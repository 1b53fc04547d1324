"""What a training goes on from: all of it, whole, and of the same run."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rwmu_deploy.contract.errors import CheckpointError, ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_train.environment.simulated_dynamics import SimulatedDynamics
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.policy.policy_choice import PolicyChoice
from rwmu_train.policy.policy_network import PolicyNetwork
from rwmu_train.policy.ppo_resume import RESUME, environment_seed, load_progress, save_progress
from rwmu_train.policy.ppo_runner import PpoRunner
from rwmu_train.policy.ppo_settings import PpoSettings
from rwmu_train.task.velocity_task import EpisodeTiming, ObservationNoise, RewardShape, find_task

SPEC, TASK = load_robot_spec("anymal_d"), find_task("anymal_d_flat")
SETTINGS = PpoSettings(
    iterations=3,
    steps_per_iteration=8,
    hidden=(16, 8),
    critic_learning_rate=3e-4,
    normalise_observation=True,
)
RUN = {"seed": 0, "ppo.iterations": 3, "ppo.clip": 0.2, "data_sha256": ["12", "34"]}


@pytest.fixture
def runner(tmp_path: Path) -> Iterator:
    """A runner for four simulated robots with the given settings."""
    with RobotBatch(SPEC, 4, seed=0, threads=1) as batch:

        def make(settings: PpoSettings = SETTINGS) -> PpoRunner:
            env_settings = EnvSettings(EpisodeTiming(), RewardShape(), ObservationNoise())
            dynamics = SimulatedDynamics(batch)
            env = VelocityEnv(SPEC, TASK, env_settings, dynamics, seed=0)
            return PpoRunner(env, settings, tmp_path / "events")

        yield make


@pytest.fixture
def trained(runner, tmp_path: Path) -> PpoRunner:
    """A runner after three iterations, kept in `tmp_path`."""
    ours = runner()
    ours.train()
    save_progress(tmp_path, ours, 3, RUN)
    return ours


def actor(runner: PpoRunner) -> torch.Tensor:
    return torch.cat([value.detach().flatten().clone() for value in runner.actor.parameters()])


def test_everything_that_training_changes_comes_back(runner, trained, tmp_path: Path) -> None:
    drawn = torch.rand(5)
    other = runner()
    progress = load_progress(tmp_path, RUN)
    assert progress is not None
    progress.restore(other)
    torch.testing.assert_close(torch.rand(5), drawn, rtol=0, atol=0)
    state = trained.training_state()
    assert {"model.actor.obs_normalizer._mean", "model.critic.obs_normalizer.count"} <= set(state)
    assert any(name.startswith("optimiser.") and name.endswith("exp_avg_sq") for name in state)
    for name, value in other.training_state().items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0, msg=name)
    assert other.alg.learning_rate == trained.alg.learning_rate != SETTINGS.learning_rate
    assert other.current_learning_iteration == 3


def test_a_resumed_runner_does_what_is_left(runner, trained, tmp_path: Path) -> None:
    longer = runner(replace(SETTINGS, iterations=5))
    load_progress(tmp_path, RUN).restore(longer)
    reported = []
    longer.on_iteration = lambda report: reported.append(report.iteration)
    longer.train()
    assert reported == [4, 5]
    assert not torch.equal(actor(longer), actor(trained))


def test_a_critic_that_was_warming_up_goes_on_warming_up(runner, tmp_path: Path) -> None:
    settings = replace(SETTINGS, critic_warm_up_iterations=3)
    ours = runner(settings)
    ours.on_iteration = lambda r: save_progress(tmp_path / str(r.iteration), ours, r.iteration, {})
    start = actor(ours)
    ours.train()
    again = runner(replace(settings, iterations=4))
    reported = []

    def after(report) -> None:
        reported.append((report.iteration, torch.equal(actor(again), start)))

    again.on_iteration = after
    load_progress(tmp_path / "2", {}).restore(again)
    again.train()
    assert reported == [(3, True), (4, False)]


def test_the_best_policy_so_far_and_its_scores_come_back(runner, tmp_path: Path) -> None:
    network = PolicyNetwork.from_rsl_rl(runner().actor, SPEC)
    choice = PolicyChoice(network, lambda network: 1.0)
    choice.offer(10, PolicyNetwork(SPEC, (16, 8)))
    save_progress(tmp_path, runner(), 12, RUN, choice)
    again = load_progress(tmp_path, RUN).choice(SPEC, (16, 8), lambda network: 2.0)
    assert (again.iteration, again.scores) == (0, {0: 1.0, 10: 1.0})
    for name, value in again.network.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[name], rtol=0, atol=0)
    again.offer(20, PolicyNetwork(SPEC, (16, 8)))
    assert (again.iteration, again.scores[20]) == (20, 2.0)


def test_without_a_file_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    assert load_progress(tmp_path, RUN) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 1}, "was trained with seed 0; now it is 1"),
        ({"ppo.clip": 0.1}, r"was trained with ppo.clip 0.2; now it is 0.1"),
        ({"data_sha256": ["12"]}, r"data_sha256 \['12', '34'\]; now it is \['12'\]"),
        ({"mix": {"sim": 1.0}}, r"was trained with mix None; now it is \{'sim': 1.0\}"),
    ],
)
def test_another_run_is_refused_with_what_differs(
    trained, tmp_path: Path, change: dict, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        load_progress(tmp_path, RUN | change)
    assert load_progress(tmp_path, RUN | {"ppo.iterations": 9}) is not None


def test_a_torn_altered_or_foreign_file_is_refused(trained, tmp_path: Path) -> None:
    path = tmp_path / RESUME
    whole = path.read_bytes()
    altered = bytearray(whole)
    altered[-100] ^= 1
    other_iteration = whole.replace(b'iteration\\": 3', b'iteration\\": 2', 1)
    assert other_iteration != whole
    for content, said in (
        (whole[:-9], "can't be resumed from"),
        (whole[:100], "can't be resumed from"),
        (b"", "can't be resumed from"),
        (bytes(altered), "altered"),
        (other_iteration, "altered"),
    ):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=said):
            load_progress(tmp_path, RUN)
    save_file({"weight": torch.ones(2)}, path)
    with pytest.raises(CheckpointError, match="not the state of a policy's training"):
        load_progress(tmp_path, RUN)


def test_a_file_of_other_networks_is_refused(runner, trained, tmp_path: Path) -> None:
    progress = load_progress(tmp_path, RUN)
    with pytest.raises(CheckpointError, match="can't be resumed from: Error"):
        progress.restore(runner(replace(SETTINGS, hidden=(8, 8))))
    with pytest.raises(CheckpointError, match="can't be resumed from: Error"):
        progress.choice(SPEC, (16, 8), lambda network: 0.0)  # none was kept


def test_no_checkpoint_is_a_pickle(trained, tmp_path: Path) -> None:
    assert load_file(tmp_path / RESUME)
    assert not list(tmp_path.rglob("*.pt"))


def test_no_two_resumptions_draw_the_same_robots() -> None:
    drawn = {environment_seed(seed, done) for seed in range(10) for done in range(0, 3000, 10)}
    assert len(drawn) == 10 * 300
    assert environment_seed(7, 0) == 7
