"""TorchScript for libtorch: the policy itself, checked before it is left there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from rwmu_deploy.contract.bundle_manifest import facts_text
from rwmu_deploy.contract.errors import BundleError, ConfigError
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_train.export import jit_export
from rwmu_train.export.check_observations import random_observations
from rwmu_train.export.jit_export import FACTS_NAME, jit_bytes, write_jit
from rwmu_train.export.parity import ParityError
from rwmu_train.policy.policy_checkpoint import PolicyFacts
from rwmu_train.policy.policy_network import PolicyNetwork


@pytest.fixture(scope="module")
def jit_file(
    network: PolicyNetwork, facts: PolicyFacts, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("jit") / "walker.pt"
    write_jit(path, network, facts)
    return path


def test_it_acts_as_the_policy_on_rows_and_on_batches(
    jit_file: Path, network: PolicyNetwork, facts: PolicyFacts
):
    program = torch.jit.load(str(jit_file))
    rows = random_observations(facts, 1000, np.random.default_rng(2))
    acted = program(torch.from_numpy(rows)).detach().numpy()
    assert np.array_equal(acted.astype(np.float64), network.action(rows))
    one = program(torch.from_numpy(rows[0]))
    assert tuple(one.shape) == (12,)
    np.testing.assert_allclose(one.detach().numpy(), acted[0], rtol=0, atol=1e-5)


def test_a_row_that_is_not_finite_commands_nothing(jit_file: Path):
    program = torch.jit.load(str(jit_file))
    rows = torch.zeros(3, 48)
    rows[0, 5], rows[1, 7] = torch.nan, torch.inf
    acted = program(rows)
    assert acted[:2].isnan().all()
    assert acted[2].isfinite().all()


def test_it_carries_what_a_bundles_manifest_says(jit_file: Path, bundle_folder: Path):
    said = {FACTS_NAME: ""}
    torch.jit.load(str(jit_file), _extra_files=said)
    manifest = json.loads((bundle_folder / "manifest.json").read_text())
    assert manifest["bundle"] == "walker"
    assert said[FACTS_NAME] in (facts_text(manifest), facts_text(manifest).encode())


def test_it_says_nothing_about_the_machine_that_exported_it(jit_file: Path):
    root = str(Path(jit_export.__file__).parents[2]).encode()
    with zipfile.ZipFile(jit_file) as archive:
        for name in archive.namelist():
            assert not name.endswith(".debug_pkl")
            assert root not in archive.read(name)
            assert b"site-packages" not in archive.read(name)


def test_another_process_runs_it_without_rwmu(jit_file: Path, network: PolicyNetwork):
    program = (
        f"import sys, torch; p = torch.jit.load({str(jit_file)!r}); "
        "print(p(torch.ones(48)).tolist(), any(m.startswith('rwmu') for m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=jit_file.parent,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=True,
    )
    numbers, ours = done.stdout.strip().rsplit(" ", 1)
    assert ours == "False"
    wanted = network.action(np.ones(48, dtype=np.float32))
    np.testing.assert_allclose(json.loads(numbers), wanted, rtol=0, atol=1e-5)


def test_a_robot_refuses_a_bundle_that_it_lies_in(
    jit_file: Path,
    bundle_folder: Path,
    network: PolicyNetwork,
    facts: PolicyFacts,
    tmp_path: Path,
):
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "walker"))
    with pytest.raises(ConfigError, match="is inside a bundle"):
        write_jit(folder / "policy.pt", network, facts)
    PolicyBundle.load(folder)
    shutil.copy(jit_file, folder / "policy.pt")
    with pytest.raises(BundleError, match=r"has policy\.pt, which no manifest lists"):
        PolicyBundle.load(folder)


@pytest.mark.usefixtures("quick_export")
def test_file_that_acts_otherwise_is_not_left_behind(
    network: PolicyNetwork, facts: PolicyFacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = PolicyNetwork(facts.robot)
    monkeypatch.setattr(jit_export, "jit_bytes", lambda _, document: jit_bytes(other, document))
    with pytest.raises(ParityError, match="differs by"):
        write_jit(tmp_path / "policy.pt", network, facts)
    assert list(tmp_path.iterdir()) == []
