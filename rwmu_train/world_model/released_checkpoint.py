"""World models of the public code as ours, and ours as files that the public code loads.

A released file holds weights only. What they mean stands in the public code's settings, which
know one robot alone: joints grouped by type, the fixed normaliser, 32 rows of history. Import and
export are refused for a robot with other columns, and export for another normaliser, as the
numbers would then be used for what they are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rwmu_deploy.contract.errors import CheckpointError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.transitions.normaliser import released_normaliser
from rwmu_train.world_model.checkpoint import WorldModelFacts
from rwmu_train.world_model.ensemble import WorldModel
from rwmu_train.world_model.released_file import read_released_file, released_file_bytes
from rwmu_train.world_model.released_layout import ReleasedSizes, read_sizes
from rwmu_train.world_model.released_weights import model_of_released, released_of_model

RELEASED_HISTORY = 32
RELEASED_CONTROL_DT_S = 0.02
ORIGIN = "released checkpoint"
_LEGS = ("LF", "LH", "RF", "RH")
RELEASED_JOINTS = tuple(f"{leg}_{joint}" for joint in ("HAA", "HFE", "KFE") for leg in _LEGS)
RELEASED_CONTACTS = tuple(f"{leg}_{body}" for body in ("THIGH", "FOOT") for leg in _LEGS)


def import_released(path: Path, spec: RobotSpec) -> tuple[WorldModel, WorldModelFacts]:
    """Our world model that computes what a file of the public code does.

    Args:
        path: The `.pt` file.
        spec: The robot that its data came from; the file doesn't say.

    Raises:
        CheckpointError: The file can't be read, is of another layout, or of another robot.
    """
    _require_released_robot(spec)
    file = read_released_file(path)
    sizes = read_sizes(file.tensors, str(path))
    _require_sizes(path, sizes, spec)
    model = model_of_released(file.tensors, sizes)
    facts = WorldModelFacts(
        spec=spec,
        architecture=model.architecture,
        normaliser=released_normaliser(spec),
        history=RELEASED_HISTORY,
        settings={
            "origin": ORIGIN,
            "file": path.name,
            "sha256": file.sha256,
            "not_in_the_file": "robot, joint order, time step, normaliser, history, data",
        },
        data_sha256=(),
        iteration=file.iteration,
    )
    return model, facts


@dataclass(frozen=True)
class ReleasedExport:
    """A file for the public code, and the settings under which it loads it."""

    content: bytes
    configuration: dict[str, Any]


def export_released(
    model: WorldModel, facts: WorldModelFacts, *, without_log_std: bool = False
) -> ReleasedExport:
    """A world model as a file that the public code loads with `strict=True`.

    Means, contacts, terminations and the members' disagreement are the same there. Hidden units
    that no output uses are left out.

    Args:
        model: The world model.
        facts: Its facts.
        without_log_std: Leave out a standard deviation that the public code can't represent.

    Raises:
        CheckpointError: The robot or normaliser is not the public code's, or the standard
            deviation has fixed bounds and is not to be left out.
    """
    _require_released_robot(facts.spec)
    _require_released_normaliser(facts)
    a = model.architecture
    if (a.trunks, a.auxiliary, a.residual) != ("shared", "own_trunk", True):
        raise CheckpointError(
            f"this world model has trunks '{a.trunks}', auxiliary '{a.auxiliary}' and residual "
            f"{a.residual}; the public code knows 'shared', 'own_trunk' and True",
            fix="Train one with the preset released or paper.",
        )
    if a.log_std == "fixed_bounds" and not without_log_std:
        raise CheckpointError(
            "the standard deviation of this world model has fixed bounds; the public code can "
            "represent learned bounds or none",
            fix="Leave it out with --without-log-std: means, contacts, terminations and "
            "uncertainty stay the same.",
        )
    tensors, sizes = released_of_model(model)
    return ReleasedExport(
        released_file_bytes(tensors, facts.iteration), sizes.configuration(facts.history)
    )


def _require_released_robot(spec: RobotSpec) -> None:
    for what, value, allowed in (
        ("joint_names", spec.joint_names, RELEASED_JOINTS),
        ("contact_names", spec.contact_names, RELEASED_CONTACTS),
        ("control_dt_s", spec.control_dt_s, RELEASED_CONTROL_DT_S),
    ):
        if value != allowed:
            raise CheckpointError(
                f"{what} of robot '{spec.name}' is {_words(value)}; the public code's columns and "
                f"normaliser exist for {_words(allowed)}",
                fix="Name the robot that has these.",
            )


def _words(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _require_sizes(path: Path, sizes: ReleasedSizes, spec: RobotSpec) -> None:
    columns = TransitionColumns.of(spec)
    for what, value, allowed in (
        ("state", sizes.state, columns.state_size),
        ("action", sizes.action, columns.action.size),
        ("contact", sizes.contact, columns.contact.size),
    ):
        if value != allowed:
            raise CheckpointError(
                f"{path} has {value} {what} columns; robot '{spec.name}' has {allowed}",
                fix="Name the robot that it was trained for.",
            )
    if not sizes.members >= 2:
        raise CheckpointError(
            f"{path} has {sizes.members} member; allowed is 2 up: uncertainty is the members' "
            "disagreement",
            fix="Give the checkpoint of an ensemble.",
        )


def _require_released_normaliser(facts: WorldModelFacts) -> None:
    public = released_normaliser(facts.spec)
    ours = facts.normaliser
    if not (np.array_equal(ours.mean, public.mean) and np.array_equal(ours.std, public.std)):
        raise CheckpointError(
            f"the normaliser '{ours.name}' of this world model is not the public code's, and the "
            "file can't carry one",
            fix="Train it with the normaliser 'released'.",
        )
