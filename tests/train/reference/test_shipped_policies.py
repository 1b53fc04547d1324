"""The policies that ship make the million rows anew, in a minute."""

import pytest

from rwmu_deploy.contract.asset_folder import asset_path
from rwmu_deploy.contract.bundle_robot_match import match_robot
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.policy.policy_checkpoint import load_policy
from rwmu_train.reference.policy_folders import find_policies


@pytest.mark.parametrize(
    ("robot", "run", "every", "last", "earlier"),
    [
        ("anymal_d", "anymal_d_flat", 50, 1000, 0),
        ("anymal_d", "anymal_d_flat_plateau", 100, 1200, 21),
        ("anymal_d", "anymal_d_flat_reference", 50, 0, 0),
        ("g1", "g1_flat", 25, 350, 0),
    ],
)
def test_all_stages_of_the_shipped_run_are_of_the_shipped_robot(
    robot: str, run: str, every: int, last: int, earlier: int
) -> None:
    spec = load_robot_spec(robot)
    folders = find_policies([asset_path("policies", run)])
    stages = range(every, last + 1, every)  # none of the reference, of which no row comes
    assert [folder.name for folder in folders] == [*(f"iteration_{i:06d}" for i in stages), run]
    for folder in folders:
        _, facts = load_policy(folder)
        # Safety limits may have become others since.
        assert match_robot(facts.robot, spec) == spec
        assert facts.task == f"{robot}_flat"
        assert facts.earlier_stages == earlier
        assert facts.training_method == "online_ppo"
