"""World-model checkpoints: safetensors for weights, JSON for all that gives them meaning."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from rwmu_deploy.contract.errors import CheckpointError, RwmuError
from rwmu_deploy.contract.robot_spec import RobotSpec, spec_from_dict, spec_to_dict
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.contract.whole_file import write_whole
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.world_model.ensemble import Architecture, WorldModel

SCHEMA = 2
_READ = (1, 2)
WEIGHTS, FACTS = "world_model.safetensors", "world_model.json"


@dataclass(frozen=True)
class WorldModelFacts:
    """What a world model's weights mean."""

    spec: RobotSpec
    """The robot that the data came from."""
    architecture: Architecture
    normaliser: StateNormaliser
    history: int
    """Rows that must be replayed before the first prediction."""
    settings: Mapping[str, Any]
    """Resolved training settings."""
    data_sha256: tuple[str, ...]
    """Hashes of the CSV files it was trained on."""
    iteration: int
    """Gradient steps behind these weights."""
    held_out: Mapping[str, Any] = field(default_factory=dict)
    """Held-out errors and the uncertainty's quantiles."""


def save_world_model(folder: Path, model: WorldModel, facts: WorldModelFacts) -> Path:
    """Write both files; the JSON, which holds the weights' hash, comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().contiguous() for name, value in model.state_dict().items()}
    payload = save_tensors(weights)
    document = {
        "schema": SCHEMA,
        "robot": spec_to_dict(facts.spec),
        "robot_sha256": facts.spec.sha256,
        "columns": {b.name: list(b.labels) for b in TransitionColumns.of(facts.spec).blocks},
        "control_dt_s": facts.spec.control_dt_s,
        "architecture": asdict(facts.architecture),
        "normaliser": facts.normaliser.to_dict(),
        "history": facts.history,
        "settings": dict(facts.settings),
        "data_sha256": list(facts.data_sha256),
        "iteration": facts.iteration,
        "held_out": dict(facts.held_out),
        "weights_sha256": hashlib.sha256(payload).hexdigest(),
    }
    write_whole(folder / WEIGHTS, payload)
    write_whole(folder / FACTS, json.dumps(document, indent=1).encode())
    return folder


def world_model_sha256(folder: Path) -> str:
    """Hash of a world model's weights.

    Raises:
        CheckpointError: There are none.
    """
    return hashlib.sha256(_read(folder / WEIGHTS)).hexdigest()


def load_world_model(
    folder: Path, spec: RobotSpec | None = None
) -> tuple[WorldModel, WorldModelFacts]:
    """Read a world model; never falls back to fresh weights.

    Args:
        folder: Where it lies.
        spec: The robot that it is for; when None, the one that it was made of.

    Raises:
        CheckpointError: A file is missing, altered or incomplete, or of another robot.
    """
    document, payload = _read(folder / FACTS), _read(folder / WEIGHTS)
    try:
        facts = json.loads(document)
        if facts["schema"] not in _READ:
            raise CheckpointError(
                f"{folder / FACTS} has schema {facts['schema']}; allowed are "
                f"{', '.join(map(str, _READ))}",
                fix="Train the model again with this version.",
            )
        if hashlib.sha256(payload).hexdigest() != facts["weights_sha256"]:
            raise CheckpointError(
                f"{folder / WEIGHTS} is not the file that {FACTS} was written with (SHA-256)",
                fix="Copy both files again from where they were trained.",
            )
        trained_on = spec_from_dict(facts["robot"], source=str(folder / FACTS))
        if spec is not None:
            _refuse_other_robot(folder, trained_on, spec)
        loaded = WorldModelFacts(
            spec=trained_on,
            architecture=Architecture(**facts["architecture"]),
            normaliser=StateNormaliser.from_dict(facts["normaliser"]),
            history=int(facts["history"]),
            settings=facts["settings"],
            data_sha256=tuple(facts["data_sha256"]),
            iteration=int(facts["iteration"]),
            held_out=facts["held_out"],
        )
        model = WorldModel(loaded.architecture)
        weights = load_tensors(payload)
        if facts["schema"] == 1:
            weights = _of_schema_1(weights) | model.state_range
        model.load_state_dict(weights)
    except RwmuError:
        raise
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{folder} is not a whole world model: {reason}",
            fix="Copy it again, or train it again with rwmu-train --stage world-model.",
        ) from None
    return model.eval(), loaded


def _of_schema_1(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Schema 1 held the weights of `torch.nn.GRU`: transposed, and of one trunk."""
    mark = "_l0"
    return {
        name.removesuffix(mark): value.reshape(len(value), -1).T.unsqueeze(0)
        if name.endswith(mark)
        else value
        for name, value in weights.items()
    }


def _refuse_other_robot(folder: Path, trained_on: RobotSpec, spec: RobotSpec) -> None:
    if trained_on.name != spec.name or trained_on.joint_names != spec.joint_names:
        raise CheckpointError(
            f"{folder} models {trained_on.name} ({', '.join(trained_on.joint_names)}); wanted is "
            f"{spec.name} ({', '.join(spec.joint_names)})",
            fix="Use the world model of this robot.",
        )
    for what, theirs, ours in (
        ("control_dt_s", trained_on.control_dt_s, spec.control_dt_s),
        ("contact_names", trained_on.contact_names, spec.contact_names),
        ("extension_names", trained_on.extension_names, spec.extension_names),
        *_joint_facts(trained_on, spec),
    ):
        if theirs != ours:
            raise CheckpointError(
                f"{what} differs: {folder} learned from data with {theirs}, wanted is {ours}",
                fix="Train a world model from data of this robot.yaml.",
            )


def _joint_facts(trained_on: RobotSpec, spec: RobotSpec) -> list[tuple[str, object, object]]:
    """What gives a joint's columns their meaning."""
    fields = ("default_position_rad", "kp_nm_per_rad", "kd_nms_per_rad", "action_scale")
    return [
        (f"joint {theirs.name} {field}", getattr(theirs, field), getattr(ours, field))
        for theirs, ours in zip(trained_on.joints, spec.joints, strict=True)
        for field in fields
    ]


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise CheckpointError(
            f"there is no file {path}",
            fix="Give the folder of a trained world model, or train one: "
            "rwmu-train --stage world-model.",
        )
    return path.read_bytes()


def training_state(
    model: torch.nn.Module, optimiser: torch.optim.Optimizer
) -> dict[str, torch.Tensor]:
    """Weights and optimiser moments as named tensors, for resuming."""
    tensors = {f"model.{k}": v.detach().clone() for k, v in model.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        for key, value in state.items():
            tensors[f"optimiser.{index}.{key}"] = torch.as_tensor(value).detach().clone()
    return tensors


def restore_training_state(
    model: torch.nn.Module, optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Undo `training_state`."""
    model.load_state_dict(
        {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    )
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, index, key = name.split(".", 2)
            moments.setdefault(int(index), {})[key] = value
    document = optimiser.state_dict()
    optimiser.load_state_dict({"state": moments, "param_groups": document["param_groups"]})
