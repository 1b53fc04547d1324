"""What two bundles differ in, topic by topic, as an engineer would ask for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from rwmu_deploy.contract.observation import COMMAND_LABELS
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_train.export.entry_difference import normaliser_rows, training_range_rows
from rwmu_train.export.monitor_facts import monitor_facts

_JOINT_FIELDS = {
    "default_position_rad": ("default pose", "default position [rad]"),
    "kp_nm_per_rad": ("gains", "kp [N m/rad]"),
    "kd_nms_per_rad": ("gains", "kd [N m s/rad]"),
    "lower_rad": ("limits", "lower limit [rad]"),
    "upper_rad": ("limits", "upper limit [rad]"),
    "velocity_limit_radps": ("limits", "speed limit [rad/s]"),
    "effort_limit_nm": ("limits", "effort limit [N m]"),
    "action_scale": ("action", "scale"),
}
"""Field of a joint -> topic and words."""
_TOLD_APART = ("name", "joints", "control_dt_s", "action_scale")
"""Keys of a robot that have topics of their own."""


@dataclass(frozen=True)
class Difference:
    """One fact that is not the same in two bundles A and B."""

    topic: str
    what: str
    a: Any
    """What A says: something that JSON can hold, None where A has no such thing."""
    b: Any


def bundle_differences(a: PolicyBundle, b: PolicyBundle) -> list[Difference]:
    """All differences, those that make a robot fall first; empty for the same bundle.

    Every fact of a manifest stands in policy.onnx too, so where anything differs, `files` says so
    at least.

    Raises:
        KeyError, TypeError, AttributeError: Facts that no robot reads (network, provenance) are
            not what the export writes.
    """
    ours, theirs = a.manifest, b.manifest
    return [
        *_joint_order(a, b),
        *_joint_numbers(a, b),
        *_plain("time step", *({"control_dt_s": side.spec.control_dt_s} for side in (a, b))),
        *_observation_terms(ours["interface"], theirs["interface"]),
        *(Difference("normaliser", *row) for row in normaliser_rows(a, b)),
        *_network(ours["network"], theirs["network"]),
        *_plain("command range", _commands(a), _commands(b)),
        *(Difference("training range", *row) for row in training_range_rows(a, b)),
        *_plain("monitor", monitor_facts(a), monitor_facts(b)),
        *_rest_of_robot(ours["robot"], theirs["robot"]),
        *_provenance(ours["provenance"], theirs["provenance"]),
        *_plain("name", _names(ours), _names(theirs)),
        *_plain("files", _files(ours), _files(theirs)),
    ]


def _plain(topic: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    """Every key whose value differs, or that only one side has."""
    for key in [*a, *(key for key in b if key not in a)]:
        if a.get(key) != b.get(key):
            yield Difference(topic, key, a.get(key), b.get(key))


def _joint_order(a: PolicyBundle, b: PolicyBundle) -> Iterator[Difference]:
    pairs = zip_longest(a.spec.joint_names, b.spec.joint_names)
    for i, (ours, theirs) in enumerate(pairs):
        if ours != theirs:
            yield Difference("joint order", f"joint {i}", ours, theirs)


def _joint_numbers(a: PolicyBundle, b: PolicyBundle) -> Iterator[Difference]:
    theirs = {joint.name: joint for joint in b.spec.joints}
    common = [joint for joint in a.spec.joints if joint.name in theirs]
    for field, (topic, words) in _JOINT_FIELDS.items():
        joints_of: dict[tuple[float, float], list[str]] = {}
        for joint in common:
            pair = getattr(joint, field), getattr(theirs[joint.name], field)
            if pair[0] != pair[1]:
                joints_of.setdefault(pair, []).append(joint.name)
        for pair, names in joints_of.items():
            whose = "all joints" if len(names) == len(common) else ", ".join(names)
            yield Difference(topic, f"{words} of {whose}", *pair)


def _observation_terms(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    ours, theirs = (
        {term["name"]: term for term in side["observation"]["terms"]} for side in (a, b)
    )
    if list(ours) != list(theirs):
        yield Difference("observation", "terms in order", list(ours), list(theirs))
    for name in (name for name in ours if name in theirs):
        # Labels are axes or joints, and the order of joints is a topic of its own.
        sides = (
            {f"{name} {key}": value for key, value in side[name].items() if key != "labels"}
            for side in (ours, theirs)
        )
        yield from _plain("observation", *sides)


def _network(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    normaliser = ("observation_mean", "observation_std")
    sides = (
        {key: value for key, value in side.items() if key not in normaliser} for side in (a, b)
    )
    yield from _plain("network", *sides)


def _commands(bundle: PolicyBundle) -> dict[str, list[float]]:
    limits = zip(bundle.command_range.lower, bundle.command_range.upper, strict=True)
    return {label: list(span) for label, span in zip(COMMAND_LABELS, limits, strict=True)}


def _rest_of_robot(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    sides = (
        _flat({key: value for key, value in side.items() if key not in _TOLD_APART})
        for side in (a, b)
    )
    yield from _plain("robot.yaml", *sides)


def _flat(document: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Leaves of nested mappings under their path."""
    leaves: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, Mapping):
            leaves.update(_flat(value, f"{above}{key} "))
        else:
            leaves[f"{above}{key}"] = value
    return leaves


def _provenance(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    ours, theirs = a["data_sha256"], b["data_sha256"]
    # By content: a file of another name holds the same data.
    only_a = [name for name, sha256 in ours.items() if sha256 not in theirs.values()]
    only_b = [name for name, sha256 in theirs.items() if sha256 not in ours.values()]
    if only_a or only_b:
        shared = len(ours) - len(only_a)
        yield Difference("data", f"files besides {shared} shared ones", only_a, only_b)
    yield from _plain("weights", *({"SHA-256": side["weights_sha256"]} for side in (a, b)))
    told = ("world_model_sha256", "training_method", "run_name", "seed")
    yield from _plain("origin", *({key: side[key] for key in told} for side in (a, b)))
    for key, words in (("training_versions", "trained"), ("export_versions", "exported")):
        sides = (
            {f"{words} with {package}": version for package, version in side[key].items()}
            for side in (a, b)
        )
        yield from _plain("versions", *sides)


def _names(manifest: Mapping[str, Any]) -> dict[str, str]:
    return {
        "bundle": manifest["bundle"],
        "task": manifest["task"],
        "robot": manifest["robot"]["name"],
    }


def _files(manifest: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: f"{facts['size_bytes']} bytes, SHA-256 {facts['sha256'][:12]}..."
        for name, facts in manifest["files"].items()
    }
