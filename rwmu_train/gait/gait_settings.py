"""The numbers of a robot's gait, from the gait.yaml beside its robot.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_type_hints

import numpy as np
import yaml
from numpy.typing import NDArray

from rwmu_deploy.contract.document_reader import DocumentReader
from rwmu_deploy.contract.errors import RobotSpecError
from rwmu_deploy.contract.robot_spec import RobotSpec, robot_folder

GAIT_FILE = "gait.yaml"
Number = float | NDArray[np.float64]
"""Of all robots, or of each, shape (N,): a search tries many gaits at once."""


@dataclass(frozen=True)
class GaitSettings:
    """How a biped steps. x forward, y to the left, z up."""

    held_joints: tuple[str, ...]
    """Joints between the base and the trunk, whose own drives are too weak to carry it."""
    soft_joints: tuple[str, ...]
    """Joints of the legs that swing with their drives' own stiffness: ankles."""
    step_s: Number
    """Of one step."""
    step_width_m: Number
    """Between the feet, stepping in place."""
    lift_m: Number
    """How high a swinging foot rises."""
    placement_x_m: Number
    """Added to where a foot is put."""
    placement_outward_m: Number
    """Likewise, away from the other foot."""
    placement_gain_x: Number
    """Factor on the capture point's distance that a step leaves over; 1 by the model."""
    placement_gain_y: Number
    com_x_m: Number
    """Centre of mass in the base's frame."""
    com_z_m: Number
    base_height_m: Number
    """Of the base over the standing foot's sole."""
    height_stiffness_n_per_m: Number
    height_damping_ns_per_m: Number
    pitch_rad: Number
    """The base's, forward."""
    pitch_stiffness_nm_per_rad: Number
    pitch_damping_nms_per_rad: Number
    roll_stiffness_nm_per_rad: Number
    roll_damping_nms_per_rad: Number
    yaw_damping_nms_per_rad: Number
    sole_gain_x: Number
    """How far the centre of pressure moves per metre by which the capture point is wrong."""
    sole_gain_y: Number
    friction: Number
    """Largest horizontal force on a foot, as a share of the vertical one."""
    swing_stiffness_nm_per_rad: Number
    swing_damping_nms_per_rad: Number
    held_stiffness_nm_per_rad: Number
    held_damping_nms_per_rad: Number


NAMES = tuple(name for name, kind in get_type_hints(GaitSettings).items() if kind == Number)
"""Of all settings that are numbers."""
SIGNED = ("placement_x_m", "placement_outward_m", "com_x_m", "com_z_m", "pitch_rad")
"""Those that may be negative or 0."""


def load_gait_settings(spec: RobotSpec) -> GaitSettings:
    """The robot's gait.

    Raises:
        RobotSpecError: There is none, or something in it is missing, unknown or no number.
    """
    path = robot_folder(spec.name) / GAIT_FILE
    if not path.is_file():
        raise RobotSpecError(
            f"robot '{spec.name}' has no gait: there is no file {path}",
            fix="Start from a bundle or a run, or from random weights.",
        )
    reader = DocumentReader(str(path))
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RobotSpecError(f"{path} is no YAML: {error}", fix="Restore the file.") from error
    entry = reader.mapping(document, "", set(GaitSettings.__dataclass_fields__))
    held, soft = (reader.names(entry[key], key) for key in ("held_joints", "soft_joints"))
    unknown = {*held, *soft} - set(spec.joint_names)
    if unknown:
        raise reader.error("held_joints or soft_joints", sorted(unknown), "names of its joints")
    numbers = {key: reader.number(entry[key], key) for key in NAMES}
    for key, number in numbers.items():
        if not (number > 0.0 or key in SIGNED):
            raise reader.error(key, number, "above 0")
    return GaitSettings(held, soft, **numbers)
