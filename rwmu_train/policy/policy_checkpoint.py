"""A trained policy on disk: `policy.safetensors` (weights) and `policy.json` (facts).

The facts carry the hash of the weights and of themselves, so a pair that loads is whole. No pickle
is written or read.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from dataclasses import dataclass, field, fields
from importlib import metadata
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import CheckpointError, RwmuError
from rwmu_deploy.contract.observation import observation_size, observation_terms
from rwmu_deploy.contract.robot_spec import RobotSpec, spec_from_dict, spec_to_dict
from rwmu_deploy.contract.whole_file import sync_folder, write_whole
from rwmu_train.policy.policy_network import PolicyNetwork

WEIGHTS_NAME = "policy.safetensors"
FACTS_NAME = "policy.json"
_NEXT_FACTS_NAME = "policy.json.next"
SCHEMA_VERSION = 1
MAX_FACTS_BYTES = 4_000_000
MAX_WEIGHTS_BYTES = 64_000_000
_FIX = "Copy the run folder again, or train again."


def installed_versions() -> dict[str, str]:
    """Versions of what shapes a policy."""
    names = ("rwmu", "torch", "rsl-rl-lib", "numpy", "onnx", "onnxscript", "onnxruntime")
    return {"python": platform.python_version()} | {name: _version(name) for name in names}


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


@dataclass(frozen=True)
class PolicyFacts:
    """Everything about a trained policy but its weights.

    Raises:
        CheckpointError: A name or number that no bundle could carry.
    """

    robot: RobotSpec
    task: str
    """Name of the training task."""
    command_range: CommandRange
    """Velocity commands of the training."""
    training_method: str
    """How it was trained, as in "mopo_ppo"."""
    run_name: str
    """Up to 64 of A-Z a-z 0-9 . _ -."""
    seed: int
    observation_range: TrainingRange | None = None
    """What the observations were in training."""
    action_range: TrainingRange | None = None
    """What the actions were in training."""
    data_sha256: dict[str, str] = field(default_factory=dict)
    """Data file name -> SHA-256."""
    world_model_sha256: str | None = None
    """Hash of the world model that imagined the data; None for a policy trained without one."""
    earlier_stages: int = 0
    """Stages of training before this run's first: those of the run that it was started from."""
    versions: dict[str, str] = field(default_factory=installed_versions)

    def __post_init__(self) -> None:
        for name in ("task", "training_method", "run_name"):
            text = getattr(self, name)
            if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text) or set(text) == {"."}:
                raise CheckpointError(
                    f"{name} is {text!r}; allowed are up to 64 of A-Z a-z 0-9 . _ -",
                    fix=f"Rename the {name}.",
                )
        if not (isinstance(self.earlier_stages, int) and self.earlier_stages >= 0):
            raise CheckpointError(
                f"earlier_stages is {self.earlier_stages!r}; allowed is a number from 0 up",
                fix="Copy the run folder again.",
            )
        for name, size in (
            ("observation_range", observation_size(self.robot)),
            ("action_range", self.robot.joint_count),
        ):
            entry = getattr(self, name)
            if entry is not None and entry.size != size:
                raise CheckpointError(
                    f"{name} has {entry.size} entries; allowed are {size} for {self.robot.name}",
                    fix="Compute it from this robot's observations and actions.",
                )


def save_policy(folder: str | Path, network: PolicyNetwork, facts: PolicyFacts) -> Path:
    """Write a policy into a run folder, over an older one if there is one.

    An interruption at any moment leaves a pair that loads: the old one or the new one.

    Returns:
        The path of the facts.

    Raises:
        CheckpointError: The network is not of the facts' robot, or its numbers are not finite.
    """
    folder = Path(folder)
    _check_fit(network, facts)
    state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    weights = safetensors.torch.save(state)
    document = _facts_document(network, facts, hashlib.sha256(weights).hexdigest())
    folder.mkdir(parents=True, exist_ok=True)
    _finish_interrupted_save(folder)
    # The facts come first under another name: whichever weights stand there after a crash, the
    # facts that belong to them stand beside them.
    write_whole(folder / _NEXT_FACTS_NAME, _text(document))
    write_whole(folder / WEIGHTS_NAME, weights)
    os.replace(folder / _NEXT_FACTS_NAME, folder / FACTS_NAME)
    sync_folder(folder)
    return folder / FACTS_NAME


def load_policy(folder: str | Path) -> tuple[PolicyNetwork, PolicyFacts]:
    """Read a policy that `save_policy` wrote.

    Raises:
        CheckpointError: A file is missing, altered, of another version, or of other sizes.
    """
    folder = Path(folder)
    weights = _read(folder / WEIGHTS_NAME, MAX_WEIGHTS_BYTES)
    document = _matching_document(folder, hashlib.sha256(weights).hexdigest())
    try:
        facts = _facts(document)
        network = PolicyNetwork(facts.robot, document["hidden_sizes"], document["activation"])
    except CheckpointError:
        raise
    except RwmuError as error:
        raise CheckpointError(f"{folder / FACTS_NAME}: {error.problem}", fix=error.fix) from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointError(
            f"{folder / FACTS_NAME} has a value of the wrong kind ({error})", fix=_FIX
        ) from None
    stated = document["observation_terms"]
    if stated != _terms(facts.robot):
        raise CheckpointError(
            f"{folder} was trained with other observation terms, sizes, units or frames than this "
            f"rwmu builds: {[term['name'] for term in stated]}",
            fix="Use the rwmu version that trained it, or train again.",
        )
    _load_weights(folder / WEIGHTS_NAME, weights, network)
    _check_fit(network, facts)
    return network.eval(), facts


def weights_sha256(network: PolicyNetwork) -> str:
    """Hash of the weights file that `save_policy` writes for this network."""
    return hashlib.sha256(_weights_bytes(network)).hexdigest()


def _weights_bytes(network: PolicyNetwork) -> bytes:
    return safetensors.torch.save(
        {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    )


def _facts_document(
    network: PolicyNetwork, facts: PolicyFacts, weights_hash: str
) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "robot_name": facts.robot.name,
        "robot_sha256": facts.robot.sha256,
        "robot": spec_to_dict(facts.robot),
        "task": facts.task,
        "hidden_sizes": list(network.hidden_sizes),
        "activation": network.activation,
        "observation_terms": _terms(facts.robot),
        "command_range": {
            "lower": list(facts.command_range.lower),
            "upper": list(facts.command_range.upper),
        },
        "training_range": {
            "observation": facts.observation_range and facts.observation_range.to_dict(),
            "action": facts.action_range and facts.action_range.to_dict(),
        },
        "data_sha256": dict(facts.data_sha256),
        "world_model_sha256": facts.world_model_sha256,
        "training_method": facts.training_method,
        "seed": facts.seed,
        "run_name": facts.run_name,
        "earlier_stages": facts.earlier_stages,
        "versions": dict(facts.versions),
        "weights_sha256": weights_hash,
    }


def _facts(document: dict[str, Any]) -> PolicyFacts:
    robot = spec_from_dict(document["robot"], source=f"{FACTS_NAME} robot")
    if document["robot_sha256"] != robot.sha256:
        raise CheckpointError(
            f"{FACTS_NAME} states robot_sha256 {document['robot_sha256']}, its robot has "
            f"{robot.sha256}",
            fix=_FIX,
        )
    ranges = {
        key: None if value is None else TrainingRange.from_dict(value)
        for key, value in document["training_range"].items()
    }
    command = document["command_range"]
    return PolicyFacts(
        robot=robot,
        command_range=CommandRange(tuple(command["lower"]), tuple(command["upper"])),
        observation_range=ranges["observation"],
        action_range=ranges["action"],
        earlier_stages=document.get("earlier_stages", 0),  # missing in older files
        **{
            name: document[name]
            for name in (
                "task",
                "training_method",
                "run_name",
                "seed",
                "data_sha256",
                "world_model_sha256",
                "versions",
            )
        },
    )


def _terms(spec: RobotSpec) -> list[dict[str, Any]]:
    return [
        {item.name: getattr(term, item.name) for item in fields(term)}
        | {"labels": list(term.labels)}
        for term in observation_terms(spec)
    ]


def _text(document: dict[str, Any]) -> bytes:
    body = json.dumps(document, indent=1, sort_keys=True, allow_nan=False)
    sealed = {**document, "facts_sha256": hashlib.sha256(body.encode()).hexdigest()}
    return (json.dumps(sealed, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _matching_document(folder: Path, weights_hash: str) -> dict[str, Any]:
    """The facts of the weights that are there, also after a save that was interrupted."""
    if (folder / FACTS_NAME).exists() or not (folder / _NEXT_FACTS_NAME).exists():
        document = _read_document(folder / FACTS_NAME)
        if document["weights_sha256"] == weights_hash:
            return document
    if (folder / _NEXT_FACTS_NAME).exists():
        document = _read_document(folder / _NEXT_FACTS_NAME)
        if document["weights_sha256"] == weights_hash:
            return document
    raise CheckpointError(
        f"{folder / WEIGHTS_NAME} has SHA-256 {weights_hash[:16]}..., {FACTS_NAME} says "
        "otherwise: they are not of one policy",
        fix=_FIX,
    )


def _finish_interrupted_save(folder: Path) -> None:
    """Give the weights that are there their facts, before another save overwrites those."""
    pending, weights = folder / _NEXT_FACTS_NAME, folder / WEIGHTS_NAME
    if pending.exists() and weights.exists():
        weights_hash = hashlib.sha256(_read(weights, MAX_WEIGHTS_BYTES)).hexdigest()
        if _read_document(pending)["weights_sha256"] == weights_hash:
            os.replace(pending, folder / FACTS_NAME)
            sync_folder(folder)


def _read_document(path: Path) -> dict[str, Any]:
    data = _read(path, MAX_FACTS_BYTES)
    try:
        document = json.loads(data)
        body = {key: value for key, value in document.items() if key != "facts_sha256"}
        whole = _text(body) == data and isinstance(document["weights_sha256"], str)
    except (ValueError, KeyError, AttributeError, RecursionError):
        raise CheckpointError(f"{path} is not a whole {FACTS_NAME}", fix=_FIX) from None
    if not whole:
        raise CheckpointError(f"{path} was altered (its own SHA-256 differs)", fix=_FIX)
    if document.get("schema_version") != SCHEMA_VERSION:
        raise CheckpointError(
            f"{path} has schema_version {document.get('schema_version')}; allowed is "
            f"{SCHEMA_VERSION}",
            fix="Use the rwmu version that wrote it, or train again.",
        )
    return document


def _load_weights(path: Path, data: bytes, network: PolicyNetwork) -> None:
    try:
        state = safetensors.torch.load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is not safetensors: {error}", fix=_FIX) from None
    wanted = {name: (tuple(t.shape), t.dtype) for name, t in network.state_dict().items()}
    found = {name: (tuple(t.shape), t.dtype) for name, t in state.items()}
    if found != wanted:
        names = sorted(name for name in wanted | found if wanted.get(name) != found.get(name))
        raise CheckpointError(
            f"{path} has {names[0]} as {found.get(names[0])}; allowed is {wanted.get(names[0])}",
            fix="The weights are of another network: copy the run folder again.",
        )
    network.load_state_dict(state)


def _check_fit(network: PolicyNetwork, facts: PolicyFacts) -> None:
    """Refuse a network whose sizes or clip are not those of the robot."""
    ours = PolicyNetwork(facts.robot, network.hidden_sizes, network.activation)
    for name in ("observation_mean", "action_lower", "action_upper"):
        if getattr(network, name).shape != getattr(ours, name).shape:
            raise CheckpointError(
                f"the policy has {name} of shape {tuple(getattr(network, name).shape)}; allowed "
                f"for {facts.robot.name} is {tuple(getattr(ours, name).shape)}",
                fix="Use the robot.yaml that the policy was trained with.",
            )
    for name in ("action_lower", "action_upper"):
        if not torch.equal(getattr(network, name).cpu(), getattr(ours, name)):
            raise CheckpointError(
                f"the policy's {name} is not the joint limits of {facts.robot.name} as actions",
                fix="Use the robot.yaml that the policy was trained with.",
            )
    network.check_numbers()


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise CheckpointError(
            f"can't read {path}: {error.strerror}",
            fix="Give the run folder that training printed; it holds "
            f"{WEIGHTS_NAME} and {FACTS_NAME}.",
        ) from None
    if len(data) > max_bytes:
        raise CheckpointError(f"{path} has more than {max_bytes} bytes, the limit", fix=_FIX)
    return data
