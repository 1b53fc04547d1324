from dataclasses import replace
from pathlib import Path

import pytest

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import CheckpointError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.policy.policy_checkpoint import PolicyFacts, load_policy, save_policy
from rwmu_train.policy.policy_network import PolicyNetwork
from rwmu_train.reference.policy_folders import name_and_generation


@pytest.fixture
def facts(spec: RobotSpec) -> PolicyFacts:
    return PolicyFacts(spec, "flat", CommandRange((-1,) * 3, (1,) * 3), "none", "run", 0)


def test_stages_count_in_order_and_the_run_itself_comes_last(facts, tmp_path: Path) -> None:
    for place in ("run", "run/stages/a", "run/stages/b"):
        save_policy(tmp_path / place, PolicyNetwork(facts.robot, [4]), facts)
    run = tmp_path / "run"
    assert name_and_generation(run / "stages/a") == ("run/a", 0)
    assert name_and_generation(run / "stages/b") == ("run/b", 1)
    assert name_and_generation(run) == ("run", 2)


def test_a_run_that_was_started_from_another_counts_on(facts, tmp_path: Path) -> None:
    later = replace(facts, earlier_stages=3)
    for place in ("run", "run/stages/a"):
        save_policy(tmp_path / place, PolicyNetwork(facts.robot, [4]), later)
    assert load_policy(tmp_path / "run")[1].earlier_stages == 3
    assert name_and_generation(tmp_path / "run/stages/a") == ("run/a", 3)
    assert name_and_generation(tmp_path / "run") == ("run", 4)


def test_a_run_without_stages_and_a_bundle_state_none(facts, tmp_path: Path) -> None:
    save_policy(tmp_path / "run", PolicyNetwork(facts.robot, [4]), facts)
    assert name_and_generation(tmp_path / "run") == ("run", None)
    assert name_and_generation(tmp_path / "bundle") == ("bundle", None)


@pytest.mark.parametrize("stages", [-1, 0.5, None])
def test_a_number_of_stages_that_is_none_is_refused(facts, stages) -> None:
    with pytest.raises(
        CheckpointError, match=r"earlier_stages is .*allowed is a number from 0 up"
    ):
        replace(facts, earlier_stages=stages)
