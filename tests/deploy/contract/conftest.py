"""One real bundle, exported once, and the means to bend copies of it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from rwmu_deploy.contract.bundle_files import FileFacts
from rwmu_deploy.contract.bundle_manifest import facts_text, manifest_bytes
from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.export.bundle_export import export_bundle
from rwmu_train.policy.policy_checkpoint import PolicyFacts, save_policy
from rwmu_train.policy.policy_network import PolicyNetwork

# For monitor_numbers and small_monitor.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]


@pytest.fixture(scope="session")
def exported_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    spec = load_robot_spec("anymal_d")
    network = PolicyNetwork(spec, (24, 16))
    network.observation_mean.normal_(0.0, 0.3)
    network.observation_std.uniform_(0.5, 2.0)
    seen = np.random.default_rng(1).normal(size=(200, network.observation_size))
    facts = PolicyFacts(
        robot=spec,
        task="anymal_d_flat",
        command_range=CommandRange((-1.0, -0.5, -1.5), (1.0, 0.5, 1.5)),
        training_method="mopo_ppo",
        run_name="test",
        seed=1,
        observation_range=TrainingRange.of(seen),
        data_sha256={"state_action_data_0.csv": "0" * 64},
    )
    folder = tmp_path_factory.mktemp("export")
    save_policy(folder / "run", network, facts)
    return export_bundle(folder / "run", folder / "walker")


@pytest.fixture
def bundle_copy(exported_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported_bundle, tmp_path / "walker"))


@pytest.fixture(scope="session")
def exported_model(exported_bundle: Path) -> bytes:
    return (exported_bundle / "policy.onnx").read_bytes()


Reseal = Callable[..., None]


@pytest.fixture
def reseal(bundle_copy: Path) -> Reseal:
    """Change a bundle and make all its hashes agree again, as an attacker or a bug would."""

    def change(
        *,
        facts: Callable[[dict[str, Any]], None] | None = None,
        model: Callable[[onnx.ModelProto], None] | None = None,
    ) -> None:
        document = json.loads((bundle_copy / "manifest.json").read_text())
        proto = onnx.load_from_string((bundle_copy / "policy.onnx").read_bytes())
        if facts is not None:
            facts(document)
            for entry in proto.metadata_props:
                if entry.key == "rwmu":
                    entry.value = facts_text(document)
        if model is not None:
            model(proto)
        content = proto.SerializeToString()
        (bundle_copy / "policy.onnx").write_bytes(content)
        document["files"]["policy.onnx"] = asdict(FileFacts.of(content))
        (bundle_copy / "manifest.json").write_bytes(manifest_bytes(document))

    return change


@pytest.fixture(scope="session")
def monitored_bundle(exported_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same policy with a small world model on board, calibrated on 900 rows."""
    from small_monitor import export_with_monitor  # only now on the path

    out = tmp_path_factory.mktemp("monitored") / "walker"
    return export_with_monitor(exported_bundle.parent / "run", out, load_robot_spec("anymal_d"))
