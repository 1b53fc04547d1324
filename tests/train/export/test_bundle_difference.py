"""Two bundles are told apart by what an engineer would ask, and by nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.export.action_difference import action_difference
from rwmu_train.export.bundle_difference import Difference, bundle_differences
from rwmu_train.export.bundle_export import export_bundle
from rwmu_train.export.entry_difference import observation_labels
from rwmu_train.policy.policy_checkpoint import PolicyFacts, save_policy
from rwmu_train.policy.policy_network import PolicyNetwork

Export = Callable[..., PolicyBundle]


@pytest.fixture
def export(tmp_path: Path, facts: PolicyFacts, quick_export: None) -> Export:
    """Export a small policy; always the same one, but for what is given."""

    def exported(
        name: str = "walker", network: PolicyNetwork | None = None, **changes
    ) -> PolicyBundle:
        changed = replace(facts, **changes)
        folder = tmp_path / f"case{len(list(tmp_path.iterdir()))}"
        save_policy(folder / "run", network or _network(changed.robot), changed)
        return PolicyBundle.load(export_bundle(folder / "run", folder / name))

    return exported


def _network(robot: RobotSpec) -> PolicyNetwork:
    torch.manual_seed(8)
    return PolicyNetwork(robot, (8,))


def _told(a: PolicyBundle, b: PolicyBundle) -> dict[str, list[Difference]]:
    """Differences by topic, without the files, which differ whenever anything does."""
    topics: dict[str, list[Difference]] = {}
    for difference in bundle_differences(a, b):
        topics.setdefault(difference.topic, []).append(difference)
    assert "policy.onnx" in {difference.what for difference in topics.pop("files")}
    return topics


def test_same_run_exported_twice_is_the_same_bundle(export: Export) -> None:
    a, b = export(), export()
    assert a.sha256 == b.sha256
    assert bundle_differences(a, b) == []


def test_one_joints_gain_is_named_with_its_joint_and_both_values(
    export: Export, robot: RobotSpec
) -> None:
    stiffer = replace(robot.joints[4], kp_nm_per_rad=90.0)
    other = replace(robot, joints=(*robot.joints[:4], stiffer, *robot.joints[5:]))
    told = _told(export(), export(robot=other))
    assert told == {"gains": [Difference("gains", "kp [N m/rad] of LF_HFE", 85.0, 90.0)]}


def test_what_differs_on_all_joints_is_one_line_and_every_topic_has_its_own(
    export: Export, robot: RobotSpec
) -> None:
    softer = tuple(replace(joint, kd_nms_per_rad=0.5, action_scale=0.25) for joint in robot.joints)
    other = replace(robot, joints=softer, link_timeout_s=0.2)
    changes = {
        "robot": other,
        "command_range": CommandRange((-1.0, -1.0, -1.0), (1.5, 1.0, 1.0)),
        "seed": 4,
        "versions": {"torch": "2.0"},
    }
    told = _told(export(), export("runner", **changes))
    assert told["gains"] == [Difference("gains", "kd [N m s/rad] of all joints", 0.6, 0.5)]
    assert told["action"] == [Difference("action", "scale of all joints", 0.5, 0.25)]
    assert told["robot.yaml"] == [Difference("robot.yaml", "link_timeout_s", 0.1, 0.2)]
    assert told["command range"] == [
        Difference("command range", "vx_mps", [-1.0, 1.0], [-1.0, 1.5])
    ]
    assert told["origin"] == [Difference("origin", "seed", 3, 4)]
    assert told["name"] == [Difference("name", "bundle", "walker", "runner")]
    assert Difference("versions", "trained with torch", None, "2.0") in [
        replace(difference, a=None) for difference in told["versions"]
    ]
    # Another scale moves the action's bounds, which are numbers in the network too.
    assert set(told) == {
        "weights",
        "gains",
        "action",
        "robot.yaml",
        "command range",
        "origin",
        "name",
        "versions",
    }


def test_other_weights_are_told_by_hash_and_by_how_they_act(export: Export) -> None:
    a = export()
    network = _network(a.spec)
    last = [module for module in network.modules() if isinstance(module, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.bias[7] += 0.25
    b = export(network=network)
    assert [difference.what for difference in _told(a, b)["weights"]] == ["SHA-256"]
    acting = action_difference(a, b)
    assert acting is not None
    assert acting.observations == 32
    # Golden observations include extreme ones whose action the clip holds back; the others show
    # the whole 0.25, on the eighth joint alone.
    assert acting.joint == "RH_HFE"
    assert acting.largest == pytest.approx(0.25, abs=1e-5)
    assert acting.largest_target_rad == pytest.approx(0.125, abs=1e-5)
    assert 0.0 < acting.rms <= 0.25 / np.sqrt(12.0) + 1e-5


def test_normaliser_names_the_entry_that_differs_most(export: Export) -> None:
    a = export()
    network = _network(a.spec)
    # Entries 24 to 35 are joint velocities; 24 is LF_HAA, 26 RF_HAA.
    network.observation_mean[24] += 0.5
    network.observation_std[26] = 3.0
    (difference,) = _told(a, export(network=network))["normaliser"]
    assert difference.what == "joint_velocity_radps: 2 of 12 entries, most RF_HAA"
    assert (difference.a, difference.b) == (
        {"mean": 0.0, "std": 1.0},
        {"mean": 0.0, "std": 3.0},
    )


def test_training_range_names_the_entry_that_differs_most(export: Export) -> None:
    ranges = []
    for high in (1.0, 4.0):
        rows = np.zeros((2, 48))
        rows[1, 0] = high
        ranges.append(TrainingRange.of(rows))
    a, b = (export(observation_range=seen) for seen in ranges)
    (difference,) = _told(a, b)["training range"]
    assert difference.what == "base_linear_velocity_mps: 1 of 3 entries, most x"
    assert difference.a == {"minimum": 0.0, "maximum": 1.0, "mean": 0.5, "std": 0.5}
    assert difference.b == {"minimum": 0.0, "maximum": 4.0, "mean": 2.0, "std": 2.0}
    assert _told(a, export())["training range"] == [
        Difference("training range", "observation", "recorded", "not recorded")
    ]


def test_same_policy_in_another_joint_order_differs_in_order_alone_and_acts_alike(
    export: Export, robot: RobotSpec
) -> None:
    """LF_HAA and RH_KFE change places, and every row and column of the network with them."""
    network = _network(robot)
    joints = list(robot.joints)
    joints[0], joints[11] = joints[11], joints[0]
    other = replace(robot, joints=tuple(joints))
    a = export(network=network)
    b = export(robot=other, network=_reordered(network, robot, other))
    told = _told(a, b)
    assert told["joint order"] == [
        Difference("joint order", "joint 0", "LF_HAA", "RH_KFE"),
        Difference("joint order", "joint 11", "RH_KFE", "LF_HAA"),
    ]
    assert set(told) == {"joint order", "weights"}
    acting = action_difference(a, b)
    assert acting is not None
    assert acting.largest < 1e-5


def _reordered(network: PolicyNetwork, robot: RobotSpec, other: RobotSpec) -> PolicyNetwork:
    entries = [observation_labels(robot).index(entry) for entry in observation_labels(other)]
    outputs = [robot.joint_names.index(name) for name in other.joint_names]
    moved = PolicyNetwork(other, network.hidden_sizes)
    linear = [copy.deepcopy(m) for m in network.modules() if isinstance(m, torch.nn.Linear)]
    targets = [m for m in moved.modules() if isinstance(m, torch.nn.Linear)]
    with torch.no_grad():
        for source, target in zip(linear, targets, strict=True):
            target.load_state_dict(source.state_dict())
        targets[0].weight.copy_(linear[0].weight[:, entries])
        targets[-1].weight.copy_(linear[-1].weight[outputs])
        targets[-1].bias.copy_(linear[-1].bias[outputs])
    return moved


def test_robots_with_other_joints_are_not_held_together(export: Export, robot: RobotSpec) -> None:
    renamed = replace(robot.joints[3], name="RH_HIP")
    other = replace(robot, joints=(*robot.joints[:3], renamed, *robot.joints[4:]))
    a, b = export(), export(robot=other)
    assert Difference("joint order", "joint 3", "RH_HAA", "RH_HIP") in _told(a, b)["joint order"]
    assert action_difference(a, b) is None
