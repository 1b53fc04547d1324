"""A small real bundle whose policy stands; on four legs every target is the default pose."""

from __future__ import annotations

from pathlib import Path

from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.export.bundle_export import export_bundle
from rwmu_train.policy.policy_checkpoint import PolicyFacts, save_policy
from rwmu_train.reference.standing_policy import standing_policy


def export_standing_bundle(folder: Path, robot: str = "anymal_d") -> Path:
    """Export it to `folder/standing`; 1 rad/s and 1 m/s are in its command range."""
    spec = load_robot_spec(robot)
    facts = PolicyFacts(
        robot=spec,
        task=f"velocity_flat_{robot}",
        command_range=CommandRange((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)),
        training_method="none",
        run_name="standing",
        seed=0,
    )
    save_policy(folder / "run", standing_policy(spec), facts)
    return export_bundle(folder / "run", folder / "standing")
