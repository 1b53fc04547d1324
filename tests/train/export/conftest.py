"""A small trained-looking run folder, and its bundle, made once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_train.export import bundle_export
from rwmu_train.export.bundle_export import export_bundle
from rwmu_train.export.onnx_export import policy_to_onnx
from rwmu_train.policy.policy_checkpoint import PolicyFacts, save_policy, weights_sha256
from rwmu_train.policy.policy_network import PolicyNetwork


@pytest.fixture(scope="session")
def robot() -> RobotSpec:
    return load_robot_spec("anymal_d")


@pytest.fixture(scope="session")
def facts(robot: RobotSpec) -> PolicyFacts:
    return PolicyFacts(
        robot=robot,
        task="anymal_d_flat",
        command_range=CommandRange((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)),
        training_method="mopo_ppo",
        run_name="test-run",
        seed=3,
    )


@pytest.fixture(scope="session")
def network(robot: RobotSpec) -> PolicyNetwork:
    torch.manual_seed(2)
    network = PolicyNetwork(robot)
    with torch.no_grad():
        for parameter in network.mlp.parameters():
            parameter *= 1.5
    network.observation_mean.normal_(0.0, 0.3)
    network.observation_std.uniform_(0.5, 2.0)
    return network.eval()


@pytest.fixture(scope="session")
def run_folder(
    tmp_path_factory: pytest.TempPathFactory, network: PolicyNetwork, facts: PolicyFacts
) -> Path:
    folder = tmp_path_factory.mktemp("train") / "test-run"
    save_policy(folder, network, facts)
    return folder


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory, run_folder: Path) -> Path:
    return export_bundle(run_folder, tmp_path_factory.mktemp("exports") / "walker")


_exported: dict[tuple[str, str], bytes] = {}


@pytest.fixture
def quick_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what happens around the export: nothing is exported or compared twice."""

    def export_once(network: PolicyNetwork, metadata: Mapping[str, str]) -> bytes:
        key = (weights_sha256(network), str(metadata))
        if key not in _exported:
            _exported[key] = policy_to_onnx(network, metadata)
        return _exported[key]

    monkeypatch.setattr(bundle_export, "policy_to_onnx", export_once)
    monkeypatch.setattr(bundle_export, "RANDOM_COUNT", 200)
