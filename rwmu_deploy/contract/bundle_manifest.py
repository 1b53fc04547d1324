"""manifest.json: everything that trainer and robot must agree on about one policy.

Its text is canonical (one way to write every document), and all of it but the list of files stands
in the ONNX metadata too. So a change of any byte shows, and so does a model beside another
model's manifest.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.action import action_bounds
from rwmu_deploy.contract.bundle_files import (
    MANIFEST_NAME,
    MAX_FILES,
    MODEL_NAME,
    REPORT_NAME,
    WORLD_MODEL_NAME,
    FileFacts,
    is_plain_name,
    is_sha256,
)
from rwmu_deploy.contract.bundle_monitor import MonitorFacts
from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import BundleError, RwmuError
from rwmu_deploy.contract.observation import observation_size, observation_terms
from rwmu_deploy.contract.robot_spec import RobotSpec, spec_from_dict

SCHEMA_VERSION = 2
"""2: `monitor`, the facts of a world model on board, or null."""
GOLDEN_COUNT = 16
INPUT_NAME, OUTPUT_NAME = "obs", "actions"
METADATA_KEY = "rwmu"
"""ONNX metadata key under which the facts stand."""

FACT_KEYS = frozenset(
    {
        "schema_version",
        "bundle",
        "task",
        "robot",
        "robot_sha256",
        "interface",
        "network",
        "command_range",
        "training_range",
        "golden",
        "monitor",
        "provenance",
    }
)
"""Keys of the manifest besides `files`."""

_ENCODER = json.JSONEncoder(indent=1, sort_keys=True, allow_nan=False)
_FIX = "Export the bundle again with rwmu-export --onnx."


@dataclass(frozen=True)
class BundleManifest:
    """A manifest whose parts fit together. O = observation size, A = joints."""

    name: str
    spec: RobotSpec
    """The robot that the policy was trained for."""
    command_range: CommandRange
    observation_range: TrainingRange | None
    """What the observations were in training, if it was recorded."""
    action_range: TrainingRange | None
    golden_observations: NDArray[np.float32]
    """Shape (16, O)."""
    golden_actions: NDArray[np.float64]
    """The trainer's answers, shape (16, A)."""
    monitor: MonitorFacts | None
    """Of the world model on board; None where there is none."""
    files: Mapping[str, FileFacts]
    """Every other file of the bundle."""
    document: Mapping[str, Any]
    """The manifest as it was read."""
    sha256: str
    """Hash of the manifest's bytes, and so of the whole bundle."""


def interface_facts(spec: RobotSpec) -> dict[str, Any]:
    """How this version of rwmu builds a robot's observation and reads its action.

    The loader compares it with what the bundle says, so a bundle of another order, unit or frame
    is refused even if its sizes agree.
    """
    lower, upper = action_bounds(spec)
    return {
        "observation": {
            "size": observation_size(spec),
            "terms": [
                {
                    "name": term.name,
                    "start": term.start,
                    "size": term.size,
                    "labels": list(term.labels),
                    "unit": term.unit,
                    "frame": term.frame,
                    "training_noise": term.noise,
                }
                for term in observation_terms(spec)
            ],
        },
        "action": {
            "size": spec.joint_count,
            "order": list(spec.joint_names),
            "meaning": "position_target_rad = default_position_rad + action_scale * action",
            "lower": lower.tolist(),
            "upper": upper.tolist(),
        },
        "last_action": "the action that was applied, after all limits",
        "quaternion": {"inside": "wxyz, base to world", "ros": "xyzw"},
    }


def manifest_bytes(document: Mapping[str, Any]) -> bytes:
    """The one text of a manifest."""
    return ("".join(_ENCODER.iterencode(document)) + "\n").encode("ascii")


def facts_text(document: Mapping[str, Any]) -> str:
    """The text of a manifest without its files, as the ONNX metadata carry it."""
    facts = {key: value for key, value in document.items() if key != "files"}
    return json.dumps(facts, sort_keys=True, allow_nan=False, separators=(",", ":"))


def read_manifest(data: bytes) -> BundleManifest:
    """Parse and check a manifest.

    Raises:
        BundleError: Not canonical JSON, a key missing or unknown, another schema, a robot,
            interface, range or golden vector that does not fit the rest.
    """
    document = _parse(data)
    if set(document) != FACT_KEYS | {"files"}:
        raise _refused(f"keys are {sorted(document)}", f"{sorted(FACT_KEYS | {'files'})}")
    if document["schema_version"] != SCHEMA_VERSION:
        raise _refused(f"schema_version is {document['schema_version']}", str(SCHEMA_VERSION))
    if not is_plain_name(document["bundle"]):
        raise _refused(f"bundle is {document['bundle']!r}", "up to 64 of A-Z a-z 0-9 . _ -")
    try:
        return _manifest(document, data)
    except BundleError:
        raise
    except RwmuError as error:
        raise BundleError(f"{MANIFEST_NAME}: {error.problem}", fix=_FIX) from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BundleError(
            f"{MANIFEST_NAME} has a value of the wrong kind ({type(error).__name__}: {error})"[
                :300
            ],
            fix=_FIX,
        ) from None


def _manifest(document: dict[str, Any], data: bytes) -> BundleManifest:
    spec = spec_from_dict(document["robot"], source=f"{MANIFEST_NAME} robot")
    if document["robot_sha256"] != spec.sha256:
        raise _refused(f"robot_sha256 is {document['robot_sha256']!r}", spec.sha256)
    _check_interface(document["interface"], spec)
    command = document["command_range"]
    ranges = {
        key: None if value is None else TrainingRange.from_dict(value)
        for key, value in document["training_range"].items()
    }
    sizes = {"observation": observation_size(spec), "action": spec.joint_count}
    if set(ranges) != set(sizes):
        raise _refused(f"training_range has {sorted(ranges)}", f"{sorted(sizes)}")
    for key, entry in ranges.items():
        if entry is not None and entry.size != sizes[key]:
            raise _refused(f"training_range.{key} has {entry.size} entries", str(sizes[key]))
    observations = _table(document, "observations", sizes["observation"])
    if not (observations == observations.astype(np.float32)).all():
        raise _refused("golden.observations has numbers that are not float32", "float32 numbers")
    stated = document["monitor"]
    monitor = None if stated is None else MonitorFacts.from_dict(stated, spec)
    return BundleManifest(
        name=document["bundle"],
        spec=spec,
        command_range=CommandRange(tuple(command["lower"]), tuple(command["upper"])),
        observation_range=ranges["observation"],
        action_range=ranges["action"],
        golden_observations=observations.astype(np.float32),
        golden_actions=_table(document, "actions", sizes["action"]),
        monitor=monitor,
        files=_files(document["files"], with_world_model=monitor is not None),
        document=document,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _parse(data: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError, RecursionError):
        text = data.decode("ascii")
        document = json.loads(text)
        if isinstance(document, dict) and _is_canonical(text, document):
            return document
    raise BundleError(
        f"{MANIFEST_NAME} is not as rwmu-export wrote it (JSON with sorted keys); "
        "it was altered or cut",
        fix="Copy the whole bundle again.",
    )


def _is_canonical(text: str, document: dict[str, Any]) -> bool:
    """Whether `manifest_bytes` would write this text.

    Piece by piece up to the first that differs: the whole text of a hostile document can be a
    hundred times as long as what was read, as every level of lists indents all that is inside.
    """
    position = 0
    for piece in _ENCODER.iterencode(document):
        if not text.startswith(piece, position):
            return False
        position += len(piece)
    return text[position:] == "\n"


def _check_interface(stated: dict[str, Any], spec: RobotSpec) -> None:
    ours = interface_facts(spec)
    if set(stated) != set(ours):
        raise _refused(f"interface has {sorted(stated)}", f"{sorted(ours)}")
    for key in ("action", "last_action", "quaternion"):
        if stated[key] != ours[key]:
            raise _refused(f"interface.{key} is {stated[key]}", f"{ours[key]}")
    theirs, our_terms = stated["observation"]["terms"], ours["observation"]["terms"]
    if stated["observation"]["size"] != ours["observation"]["size"] or len(theirs) != len(
        our_terms
    ):
        raise _refused(
            f"observation has {len(theirs)} terms and {stated['observation']['size']} entries",
            f"{len(our_terms)} terms and {ours['observation']['size']} entries",
        )
    for their, our in zip(theirs, our_terms, strict=True):
        for field in our:
            # The noise is a fact about training; it changes nothing on the robot.
            if field != "training_noise" and their[field] != our[field]:
                raise _refused(
                    f"observation term {our['name']}: {field} is {their[field]!r}",
                    f"{our[field]!r}",
                )


def _table(document: dict[str, Any], key: str, width: int) -> NDArray[np.float64]:
    table = np.array(document["golden"][key], dtype=np.float64)
    in_range = np.abs(table) <= np.finfo(np.float32).max
    if table.shape != (GOLDEN_COUNT, width) or not in_range.all():
        raise _refused(
            f"golden.{key} has the shape {table.shape}",
            f"({GOLDEN_COUNT}, {width}), all within float32",
        )
    return table


def _files(stated: dict[str, Any], *, with_world_model: bool) -> dict[str, FileFacts]:
    files: dict[str, FileFacts] = {}
    for name, facts in stated.items():
        if not (is_plain_name(name) and name != MANIFEST_NAME and is_sha256(facts["sha256"])):
            raise _refused(f"files has {name!r}", "plain names with a SHA-256")
        files[name] = FileFacts(facts["size_bytes"], facts["sha256"])
    if not ({MODEL_NAME, REPORT_NAME} <= set(files) and len(files) <= MAX_FILES):
        raise _refused(
            f"files has {sorted(files)[:20]}",
            f"{MODEL_NAME}, {REPORT_NAME} and at most {MAX_FILES}",
        )
    if with_world_model != (WORLD_MODEL_NAME in files):
        raise _refused(
            f"files has {sorted(files)[:20]}",
            f"{WORLD_MODEL_NAME} where and only where monitor is stated",
        )
    return files


def _refused(problem: str, allowed: str) -> BundleError:
    return BundleError(
        f"{MANIFEST_NAME}: {problem[:300]}; allowed is {allowed[:300]}",
        fix="Use the rwmu version that wrote the bundle, or export it again.",
    )
