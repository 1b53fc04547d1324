"""A bundle on one page: what an engineer compares with the robot before it stands up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from rwmu_deploy.contract.action import action_bounds
from rwmu_deploy.contract.bundle_files import REPORT_NAME
from rwmu_deploy.contract.observation import COMMAND_LABELS, observation_terms
from rwmu_deploy.contract.policy_bundle import PolicyBundle


def print_page(console: Console, bundle: PolicyBundle, folder: Path) -> None:
    """Print everything about a loaded bundle that a person can check."""
    console.print(
        Group(
            _summary(bundle),
            _joints(bundle),
            _observation(bundle),
            _commands(bundle),
            verification_table(folder),
        )
    )


def verification_table(folder: Path) -> Table:
    """What the export compared, from the report inside the bundle."""
    report = json.loads((folder / REPORT_NAME).read_text())
    table = _table("Trained policy against policy.onnx", "observations", "count")
    for column in ("largest difference", "float32 rounding", "allowed"):
        table.add_column(column, justify="right")
    for name, entry in report["compared"].items():
        numbers = (entry[key] for key in ("largest_difference", "rounding", "allowed_difference"))
        table.add_row(name, str(entry["count"]), *(f"{number:.2g}" for number in numbers))
    return table


def _summary(bundle: PolicyBundle) -> Table:
    manifest = bundle.manifest
    origin: dict[str, Any] = manifest["provenance"]
    network = manifest["network"]
    sizes = [
        bundle.model.inputs[0].shape[1],
        *network["hidden_sizes"],
        bundle.model.outputs[0].shape[1],
    ]
    meaning = manifest["interface"]["action"]["meaning"]
    rows = {
        "bundle": bundle.name,
        "SHA-256": bundle.sha256,
        "robot": f"{bundle.spec.name}, SHA-256 {bundle.spec.sha256[:16]}...",
        "task": manifest["task"],
        "control step": f"{bundle.spec.control_dt_s} s",
        "action": f"{meaning}, scale {bundle.spec.action_scale}",
        "network": f"{'-'.join(map(str, sizes))}, {network['activation']}",
        "model": f"opset {bundle.model.opset_version}, IR {bundle.model.ir_version}, "
        f"{', '.join(sorted(set(bundle.model.operators)))}",
        "trained": f"{origin['training_method']}, run {origin['run_name']}, seed {origin['seed']}",
        "data files": str(len(origin["data_sha256"])),
        "world model": str(origin["world_model_sha256"] or "none"),
        "golden vectors": f"{len(bundle.golden_actions)} replayed, largest difference "
        f"{bundle.golden_difference:.2g}",
    }
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in rows.items():
        # Text, so that no bracket in a name is taken for a style.
        table.add_row(Text(name, style="bold"), Text(value))
    return table


def _joints(bundle: PolicyBundle) -> Table:
    table = _table("Joints in the policy's order", "#", "joint")
    for column in (
        "default rad",
        "lower rad",
        "upper rad",
        "kp",
        "kd",
        "lowest a",
        "highest a",
    ):
        table.add_column(column, justify="right")
    lower, upper = action_bounds(bundle.spec)
    for i, joint in enumerate(bundle.spec.joints):
        numbers = (
            joint.default_position_rad,
            joint.lower_rad,
            joint.upper_rad,
            joint.kp_nm_per_rad,
            joint.kd_nms_per_rad,
            lower[i],
            upper[i],
        )
        table.add_row(str(i), Text(joint.name), *(f"{number:g}" for number in numbers))
    return table


def _observation(bundle: PolicyBundle) -> Table:
    table = _table("Observation in order", "entries", "term", "unit", "frame", "order")
    seen = bundle.observation_range
    table.add_column("seen in training", justify="right")
    for term in observation_terms(bundle.spec):
        span = "not recorded"
        if seen is not None:
            low, high = min(seen.minimum[term.slice]), max(seen.maximum[term.slice])
            span = f"{low:.3g} to {high:.3g}"
        order = "joints" if term.labels == bundle.spec.joint_names else ", ".join(term.labels)
        table.add_row(
            f"{term.start}-{term.start + term.size - 1}",
            *map(Text, (term.name, term.unit, term.frame, order)),
            span,
        )
    return table


def _commands(bundle: PolicyBundle) -> Table:
    table = _table("Velocity commands", "command", "lowest", "highest")
    limits = zip(bundle.command_range.lower, bundle.command_range.upper, strict=True)
    for label, (low, high) in zip(COMMAND_LABELS, limits, strict=True):
        table.add_row(label, f"{low:g}", f"{high:g}")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table
