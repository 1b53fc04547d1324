"""A bundle on one page: what an engineer compares with the robot before it stands up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from rwmu_deploy.contract.action import action_bounds, stated_action_scale
from rwmu_deploy.contract.observation import COMMAND_LABELS, observation_terms
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_train.export.monitor_facts import monitor_facts
from rwmu_train.export.verification_report import facts_as_exported, read_report

PAGE_WIDTH = 100
"""Columns; a name or number that is cut off would be worse than a long line."""


def page_console() -> Console:
    """Where pages about bundles are printed, on a narrow terminal or into a pipe too."""
    return Console(width=max(PAGE_WIDTH, Console().width))


def bundle_document(bundle: PolicyBundle, folder: Path) -> dict[str, Any]:
    """The page as JSON: the manifest with every digit, and what loading found.

    Raises:
        BundleError: The report inside the bundle can't be read.
    """
    model = bundle.model
    return {
        "folder": str(folder),
        "sha256": bundle.sha256,
        "golden_replay": {
            "count": len(bundle.golden_actions),
            "largest_difference": bundle.golden_difference,
        },
        "verification": read_report(folder),
        "model": {
            "opset_version": model.opset_version,
            "ir_version": model.ir_version,
            "operators": list(model.operators),
            "parameter_count": model.parameter_count,
        },
        "manifest": dict(bundle.manifest),
    }


def print_page(console: Console, bundle: PolicyBundle, folder: Path) -> None:
    """Print everything about a loaded bundle that a person can check.

    Raises:
        BundleError: Facts that no robot reads are not what the export writes.
    """
    with facts_as_exported(folder):
        parts = (
            _summary(bundle),
            _joints(bundle),
            _observation(bundle),
            _commands(bundle),
            verification_table(folder),
            _facts(monitor_facts(bundle), title="Monitor"),
            _origin(bundle.manifest["provenance"]),
            _files(bundle),
        )
    console.print(Group(*(part for each in parts for part in (each, Text()))), end="")


def verification_table(folder: Path) -> Table:
    """What the export compared, from the report inside the bundle.

    Raises:
        BundleError: The report can't be read.
    """
    compared = read_report(folder)["compared"]
    return comparison_table("Trained policy against policy.onnx", compared)


def comparison_table(title: str, compared: Mapping[str, Mapping[str, Any]]) -> Table:
    """Comparisons on named sets of observations, as mappings."""
    table = _table(title, "observations")
    _numeric(table, "count", "largest difference", "float32 rounding", "allowed")
    for name, entry in compared.items():
        numbers = (entry[key] for key in ("largest_difference", "rounding", "allowed_difference"))
        table.add_row(Text(name), str(entry["count"]), *(f"{number:.2g}" for number in numbers))
    return table


def _summary(bundle: PolicyBundle) -> Table:
    manifest, spec, model = bundle.manifest, bundle.spec, bundle.model
    network, interface = manifest["network"], manifest["interface"]
    sizes = [
        bundle.model.inputs[0].shape[1],
        *network["hidden_sizes"],
        bundle.model.outputs[0].shape[1],
    ]
    return _facts(
        {
            "bundle": bundle.name,
            "SHA-256": bundle.sha256,
            "robot": f"{spec.name}, SHA-256 {spec.sha256[:16]}...",
            "task": manifest["task"],
            "control step": f"{spec.control_dt_s} s",
            "action": f"{interface['action']['meaning']}, scale {stated_action_scale(spec)}",
            "last action": interface["last_action"],
            "quaternion": f"{interface['quaternion']['inside']}; in ROS "
            f"{interface['quaternion']['ros']}",
            "network": f"{'-'.join(map(str, sizes))}, {network['activation']}, "
            f"{model.parameter_count:,} numbers, normaliser {network['normaliser']}",
            "model": f"opset {model.opset_version}, IR {model.ir_version}, "
            f"{', '.join(sorted(set(model.operators)))}",
            "golden vectors": f"{len(bundle.golden_actions)} replayed, largest difference "
            f"{bundle.golden_difference:.2g}",
        }
    )


def _joints(bundle: PolicyBundle) -> Table:
    spec, seen = bundle.spec, bundle.action_range
    table = _table("Joints in the policy's order (rad, N m/rad, N m s/rad, rad/s, N m)", "#")
    table.add_column("joint", no_wrap=True)
    _numeric(table, "default", "lower", "upper", "kp", "kd", "speed", "effort")
    _numeric(table, "allowed action", "seen action")
    lower, upper = action_bounds(spec)
    for i, joint in enumerate(spec.joints):
        numbers = (
            joint.default_position_rad,
            joint.lower_rad,
            joint.upper_rad,
            joint.kp_nm_per_rad,
            joint.kd_nms_per_rad,
            joint.velocity_limit_radps,
            joint.effort_limit_nm,
        )
        table.add_row(
            str(i),
            Text(joint.name),
            *(f"{number:g}" for number in numbers),
            _span(lower[i], upper[i]),
            "not recorded" if seen is None else _span(seen.minimum[i], seen.maximum[i]),
        )
    return table


def _observation(bundle: PolicyBundle) -> Table:
    table = _table("Observation in order, with the noise and the range of training")
    for column in ("entries", "size", "term", "unit", "frame"):
        table.add_column(column, no_wrap=True)
    table.add_column("order", overflow="fold")
    _numeric(table, "noise", "seen")
    seen = bundle.observation_range
    noise = [
        term["training_noise"] for term in bundle.manifest["interface"]["observation"]["terms"]
    ]
    for term, half_width in zip(observation_terms(bundle.spec), noise, strict=True):
        span = "not recorded"
        if seen is not None:
            low, high = min(seen.minimum[term.slice]), max(seen.maximum[term.slice])
            span = "nothing" if low == high == 0.0 else _span(low, high)
        order = "joints" if term.labels == bundle.spec.joint_names else ", ".join(term.labels)
        table.add_row(
            f"{term.start}-{term.start + term.size - 1}",
            str(term.size),
            *map(Text, (term.name, term.unit, term.frame, order)),
            f"±{half_width:g}",
            span,
        )
    return table


def _commands(bundle: PolicyBundle) -> Table:
    table = _table("Velocity commands", "command")
    _numeric(table, "lowest", "highest")
    limits = zip(bundle.command_range.lower, bundle.command_range.upper, strict=True)
    for label, (low, high) in zip(COMMAND_LABELS, limits, strict=True):
        table.add_row(label, f"{low:g}", f"{high:g}")
    return table


def _origin(origin: Mapping[str, Any]) -> Table:
    data = ", ".join(f"{name} {sha256[:12]}..." for name, sha256 in origin["data_sha256"].items())
    return _facts(
        {
            "trained": f"{origin['training_method']}, run {origin['run_name']}, "
            f"seed {origin['seed']}",
            "weights": f"SHA-256 {origin['weights_sha256']}",
            "world model": str(origin["world_model_sha256"] or "none"),
            "data": data or "not recorded",
            "trained with": _versions(origin["training_versions"]),
            "exported with": _versions(origin["export_versions"]),
        },
        title="Where it comes from",
    )


def _files(bundle: PolicyBundle) -> Table:
    table = _table("Files beside manifest.json", "file")
    _numeric(table, "bytes")
    table.add_column("SHA-256", no_wrap=True)
    for name, facts in bundle.manifest["files"].items():
        table.add_row(Text(name), f"{facts['size_bytes']:,}", facts["sha256"])
    return table


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or "not recorded"


def _span(low: float | np.floating, high: float | np.floating) -> str:
    return f"{low:.3g} to {high:.3g}"


def _facts(rows: Mapping[str, str], title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        # Text, so that no bracket in a name is taken for a style.
        table.add_row(Text(name, style="bold"), Text(value))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _numeric(table: Table, *columns: str) -> None:
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
