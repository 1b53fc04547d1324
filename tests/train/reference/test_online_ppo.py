"""Online PPO leaves a policy of every stage, which recording takes its behaviours from."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.simulation.robot_variant import FIELD, NOMINAL
from rwmu_train.policy.policy_checkpoint import load_policy, weights_sha256
from rwmu_train.presets import ONLINE
from rwmu_train.reference.online_ppo import train_online
from rwmu_train.reference.policy_folders import find_policies
from rwmu_train.task.velocity_task import EpisodeTiming, ObservationNoise, find_task


def test_stages_are_kept_and_the_last_one_is_the_policy(tmp_path: Path) -> None:
    spec, task = load_robot_spec("anymal_d"), find_task("anymal_d_flat")
    settings = replace(ONLINE.ppo, iterations=3, checkpoint_every=2)
    reports = []
    network = train_online(
        *(spec, task, settings, tmp_path),
        robots=8,
        seed=3,
        earlier_stages=20,
        on_iteration=reports.append,
    )
    assert [report.iteration for report in reports] == [1, 2, 3]
    stages = find_policies([tmp_path])
    assert [stage.name for stage in stages] == ["iteration_000002", tmp_path.name]
    observation = torch.randn(5, network.observation_size)
    last, facts = load_policy(tmp_path)
    torch.testing.assert_close(last(observation), network(observation))
    assert not torch.equal(load_policy(stages[0])[0](observation), network(observation))
    assert (facts.training_method, facts.seed, facts.robot) == ("online_ppo", 3, spec)
    assert facts.earlier_stages == load_policy(stages[0])[1].earlier_stages == 20


def test_a_training_that_stops_goes_on_after_its_last_stage(tmp_path: Path) -> None:
    spec, task = load_robot_spec("anymal_d"), find_task("anymal_d_flat")
    settings = replace(ONLINE.ppo, iterations=4, checkpoint_every=2)

    def train(**options):
        return train_online(spec, task, settings, tmp_path, robots=8, seed=3, **options)

    def stop(report) -> None:
        if report.iteration == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(on_iteration=stop)
    done: list[int] = []
    reports = []
    network = train(resume=True, on_begin=done.append, on_iteration=reports.append)
    assert (done, [report.iteration for report in reports]) == ([2], [3, 4])
    again = train(resume=True, on_begin=done.append, on_iteration=reports.append)
    assert (done, len(reports)) == ([2], 2)
    assert weights_sha256(load_policy(tmp_path)[0]) == weights_sha256(again)
    assert weights_sha256(network) == weights_sha256(again)


def test_commands_may_come_more_often_when_it_goes_on(tmp_path: Path) -> None:
    spec, task = load_robot_spec("anymal_d"), find_task("anymal_d_flat")
    settings = replace(ONLINE.ppo, iterations=1, checkpoint_every=1)
    train_online(spec, task, settings, tmp_path, robots=8, seed=3)
    more = replace(settings, iterations=2)
    often = EpisodeTiming(command_steps=(50, 250))
    reports = []
    train_online(
        *(spec, task, more, tmp_path),
        robots=8,
        seed=3,
        timing=often,
        resume=True,
        on_iteration=reports.append,
    )
    assert [report.iteration for report in reports] == [2]
    other = replace(often, push_steps=(10, 20))
    with pytest.raises(ConfigError, match=r"timing\.push_steps"):
        train_online(spec, task, more, tmp_path, robots=8, seed=3, timing=other, resume=True)


def test_an_actor_that_was_not_shown_the_velocity_does_not_depend_on_it(tmp_path: Path) -> None:
    spec, task = load_robot_spec("anymal_d"), find_task("anymal_d_flat")
    settings = replace(ONLINE.ppo, iterations=2, checkpoint_every=1, normalise_observation=True)

    def train(iterations: int, **options):
        return train_online(
            *(spec, task, replace(settings, iterations=iterations), tmp_path),
            **options,
            robots=8,
            seed=3,
            noise=ObservationNoise(unseen=("base_linear_velocity_mps",)),
        )

    train(1)
    network = train(2, resume=True)
    observation = torch.randn(5, network.observation_size)
    other = observation.clone()
    other[:, :3] = 1e6
    assert torch.equal(network(observation), network(other))
    other[:, 3:6] += 1.0
    assert not torch.equal(network(observation), network(other))
    with pytest.raises(ConfigError, match=r"noise\.unseen"):
        train_online(*(spec, task, settings, tmp_path), robots=8, seed=3, resume=True)


def test_it_trains_on_robots_of_a_variant_and_goes_on_with_no_others(tmp_path: Path) -> None:
    spec, task = load_robot_spec("anymal_d"), find_task("anymal_d_flat")
    settings = replace(ONLINE.ppo, iterations=1, checkpoint_every=1)
    words = (spec, task, settings)
    on = {
        variant.name: train_online(
            *(*words, tmp_path / variant.name), robots=8, seed=3, variant=variant
        )
        for variant in (NOMINAL, FIELD)
    }
    observation = torch.randn(5, on["field"].observation_size)
    assert not torch.equal(on["nominal"](observation), on["field"](observation))
    with pytest.raises(ConfigError, match="variant"):
        train_online(*(*words, tmp_path / "field"), robots=8, seed=3, resume=True)
