from dataclasses import replace
from pathlib import Path

import pytest

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import CheckpointError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.policy.policy_checkpoint import PolicyFacts, load_policy, save_policy
from rwmu_train.policy.policy_network import PolicyNetwork
from rwmu_train.reference.collector import Collector, collector_of


def told(policy: Path) -> tuple[str, int | None]:
    who = collector_of(policy)
    return who.name, who.generation


@pytest.fixture
def facts(spec: RobotSpec) -> PolicyFacts:
    return PolicyFacts(spec, "flat", CommandRange((-1,) * 3, (1,) * 3), "none", "run", 0)


def test_stages_count_in_order_and_the_run_itself_comes_last(facts, tmp_path: Path) -> None:
    for place in ("run", "run/stages/a", "run/stages/b"):
        save_policy(tmp_path / place, PolicyNetwork(facts.robot, [4]), facts)
    run = tmp_path / "run"
    assert told(run / "stages/a") == ("run/a", 0)
    assert told(run / "stages/b") == ("run/b", 1)
    assert told(run) == ("run", 2)


def test_a_run_that_was_started_from_another_counts_on(facts, tmp_path: Path) -> None:
    later = replace(facts, earlier_stages=3)
    for place in ("run", "run/stages/a"):
        save_policy(tmp_path / place, PolicyNetwork(facts.robot, [4]), later)
    assert load_policy(tmp_path / "run")[1].earlier_stages == 3
    assert told(tmp_path / "run/stages/a") == ("run/a", 3)
    assert told(tmp_path / "run") == ("run", 4)


def test_a_run_without_stages_and_a_bundle_state_none(facts, tmp_path: Path) -> None:
    save_policy(tmp_path / "run", PolicyNetwork(facts.robot, [4]), facts)
    assert told(tmp_path / "run") == ("run", None)
    assert collector_of(tmp_path / "bundle") == Collector("bundle")


def test_a_policy_is_told_by_its_name_and_weights(facts, tmp_path: Path) -> None:
    network = PolicyNetwork(facts.robot, [4])
    for place in ("one/run", "two/run", "two/walk"):
        save_policy(tmp_path / place, network, facts)
    save_policy(tmp_path / "other/run", PolicyNetwork(facts.robot, [4]), facts)
    same, again, renamed, other = (
        collector_of(tmp_path / place).policy
        for place in ("one/run", "two/run", "two/walk", "other/run")
    )
    assert same == again
    assert len({same, renamed, other}) == 3


@pytest.mark.parametrize("stages", [-1, 0.5, None])
def test_a_number_of_stages_that_is_none_is_refused(facts, stages) -> None:
    with pytest.raises(
        CheckpointError, match=r"earlier_stages is .*allowed is a number from 0 up"
    ):
        replace(facts, earlier_stages=stages)
