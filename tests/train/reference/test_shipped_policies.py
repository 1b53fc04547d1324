"""The policies that ship make the million rows anew, in a minute."""

from rwmu_deploy.contract.asset_folder import asset_path
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.policy.policy_checkpoint import load_policy
from rwmu_train.reference.policy_folders import find_policies


def test_all_stages_of_the_shipped_run_are_of_the_shipped_robot() -> None:
    spec = load_robot_spec("anymal_d")
    folders = find_policies([asset_path("policies", "anymal_d_flat")])
    assert [folder.name for folder in folders] == [
        *(f"iteration_{i:06d}" for i in range(50, 1001, 50)),
        "anymal_d_flat",
    ]
    for folder in folders:
        _, facts = load_policy(folder)
        assert facts.robot == spec
        assert facts.training_method == "online_ppo"
