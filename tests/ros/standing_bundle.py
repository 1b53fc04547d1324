"""A small real bundle whose policy stands: every action is 0, so every target is the default."""

from __future__ import annotations

from pathlib import Path

import torch

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.export.bundle_export import export_bundle
from rwmu_train.policy.policy_checkpoint import PolicyFacts, save_policy
from rwmu_train.policy.policy_network import PolicyNetwork


def export_standing_bundle(folder: Path) -> Path:
    """Export it to `folder/standing`; 1 rad/s and 1 m/s are in its command range."""
    torch.manual_seed(0)
    spec = load_robot_spec("anymal_d")
    network = PolicyNetwork(spec, (8,), "elu")
    last = [module for module in network.modules() if isinstance(module, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
    facts = PolicyFacts(
        robot=spec,
        task="velocity_flat_anymal_d",
        command_range=CommandRange((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)),
        training_method="none",
        run_name="standing",
        seed=0,
    )
    save_policy(folder / "run", network, facts)
    return export_bundle(folder / "run", folder / "standing")
