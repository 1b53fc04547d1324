"""A policy as a TorchScript file, for programs that run libtorch.

It stands beside a bundle and never in it: a robot loads ONNX alone, because TorchScript is a
program and ONNX, after the guard, is a list of products and sums.
"""

from __future__ import annotations

import copy
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rwmu_deploy.contract.bundle_manifest import facts_text
from rwmu_train.export.bundle_export import manifest_facts, verification_sets
from rwmu_train.export.parity import Comparison, compare_policies
from rwmu_train.export.recorded_observations import read_recorded_observations
from rwmu_train.export.verified_file import require_free_file, write_verified
from rwmu_train.policy.policy_checkpoint import PolicyFacts
from rwmu_train.policy.policy_network import PolicyNetwork

FACTS_NAME = "rwmu.json"
"""The file inside the archive that holds what a bundle's manifest says."""
_ON_TWO_ROWS = 2


def write_jit(
    path: Path, network: PolicyNetwork, facts: PolicyFacts, *, data: Path | None = None
) -> dict[str, Comparison]:
    """Write a TorchScript file, and run it before it counts.

    It takes observations, shape (..., O), and gives actions, shape (..., A): normaliser and clip
    are inside. A row that is not finite gives NaN for every joint.

    Args:
        path: The new file.
        network: The policy.
        facts: Its facts; they travel along as `rwmu.json` inside the archive.
        data: Transition CSV or folder; the policy is compared on its observations too.

    Returns:
        The policy and the file, compared on every set that a bundle is compared on.

    Raises:
        TransitionFileError: The data can't be trusted.
        ConfigError: The file is there already, or can't be written.
        ParityError: The file's policy acts otherwise; no file is left then.
    """
    require_free_file("--jit", path)
    recorded = None if data is None else read_recorded_observations(data, facts)
    sets = verification_sets(network, facts, recorded)
    document = manifest_facts(path.stem, network, facts, sets["golden"])
    content = jit_bytes(network, document)
    return write_verified(
        "--jit", path, content, lambda copy: compare_policies(network, _JitPolicy(copy), sets)
    )


def jit_bytes(network: PolicyNetwork, facts: dict[str, Any]) -> bytes:
    """The file's content.

    Args:
        network: The policy.
        facts: What the file says about itself, in `rwmu.json`.
    """
    guarded = _FiniteOrNothing(copy.deepcopy(network).cpu().eval()).eval()
    rows = torch.zeros(_ON_TWO_ROWS, network.observation_size)
    program = torch.jit.trace(guarded, rows, check_trace=False)
    buffer = io.BytesIO()
    torch.jit.save(program, buffer, _extra_files={FACTS_NAME: facts_text(facts)})
    return _without_source_paths(buffer.getvalue())


class _FiniteOrNothing(nn.Module):
    """The clip would turn an infinite observation into a full-scale action."""

    def __init__(self, network: PolicyNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        finite = torch.isfinite(observation).all(dim=-1, keepdim=True)
        return torch.where(finite, self.network(observation), torch.nan)


class _JitPolicy:
    def __init__(self, path: Path) -> None:
        self._program = torch.jit.load(str(path), map_location="cpu")

    @torch.no_grad()
    def action(self, observation: NDArray[np.float32]) -> NDArray[np.float64]:
        return self._program(torch.from_numpy(observation)).numpy().astype(np.float64)


def _without_source_paths(content: bytes) -> bytes:
    """Drop the tables that say on which line of which file of this machine a product stood."""
    kept = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as whole, zipfile.ZipFile(kept, "w") as archive:
        for entry in whole.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                archive.writestr(zipfile.ZipInfo(entry.filename), whole.read(entry))
    return kept.getvalue()
