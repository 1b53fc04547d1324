"""RobotSpec: everything about one robot that trainer and runtime must agree on.

It is read from `assets/robots/<name>/robot.yaml`. Its joint order is the policy's order and the
order of every CSV column. J = number of joints.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from rwmu_deploy.contract.asset_folder import asset_path
from rwmu_deploy.contract.document_reader import COMPARE, DocumentReader
from rwmu_deploy.contract.errors import RobotSpecError
from rwmu_deploy.contract.robot_spec_checks import refuse_nonsense

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class JointSpec:
    """One actuated joint."""

    name: str
    default_position_rad: float
    """Position that action 0 commands."""
    lower_rad: float
    """Lowest position that may be commanded."""
    upper_rad: float
    """Highest position that may be commanded."""
    velocity_limit_radps: float
    effort_limit_nm: float
    kp_nm_per_rad: float
    """Position gain of the joint controller that the policy was trained with."""
    kd_nms_per_rad: float
    """Velocity gain of the joint controller that the policy was trained with."""
    action_scale: float
    """Position target = default position + action_scale * action."""


@dataclass(frozen=True)
class SafetyLimits:
    """Where RUN ends. Every limit is positive and finite; none of them can be switched off."""

    sensor_age_hold_s: float
    """Older sensor data than this: HOLD."""
    sensor_age_damp_s: float
    """Older sensor data than this: DAMP."""
    velocity_command_age_s: float
    """Older velocity command than this: it ramps to zero."""
    roll_damp_rad: float
    pitch_damp_rad: float
    joint_outside_hold_rad: float
    """A measured joint further than this outside its range: HOLD."""
    joint_outside_damp_rad: float
    """A measured joint further than this outside its range: DAMP."""
    joint_velocity_damp_radps: float
    base_angular_velocity_damp_radps: float
    command_step_rad: float
    """Largest change of a joint's commanded position from one tick to the next."""
    damping_kd_nms_per_rad: float
    """Velocity gain while damping (position gain 0)."""
    recovery_s: float
    """Healthy time after which HOLD becomes RUN again."""
    sensor_frozen_damp_s: float
    """Samples that keep coming and stay equal to the last bit for this long: DAMP."""
    late_ticks_in_a_row_hold: float
    """So many ticks in a row that each came after a skipped one: HOLD."""
    late_ticks_per_s_hold: float
    """So many such ticks within a second: HOLD."""
    effort_target_ratio: float
    """A position target may ask for this multiple of the effort limit, from where the joint is."""
    action_abs_max: float
    """An action beyond it is no answer of a policy."""
    observation_sigma_damp: float
    """An observation further than this many standard deviations from the training mean: DAMP."""


ADDED_SAFETY = {
    "sensor_frozen_damp_s": 0.5,
    "late_ticks_in_a_row_hold": 3.0,
    "late_ticks_per_s_hold": 5.0,
    "effort_target_ratio": 2.0,
    "action_abs_max": 100.0,
    "observation_sigma_damp": 20.0,
}
"""Limits that bundles and checkpoints of the first release don't state, and what holds there. A
document leaves out those that are as here, so that its hash is that of the first release."""


@dataclass(frozen=True)
class SymmetrySpec:
    """How a mirrored robot's joints and privileged columns follow from the original's."""

    left_right: dict[str, str]
    """Joint, contact or extension name -> name of its mirror image."""
    left_right_negated: tuple[str, ...]
    """Joints whose angle changes sign in the mirror."""


@dataclass(frozen=True)
class SimulationSpec:
    """The MuJoCo model that stands in for the robot."""

    mjcf: str
    """File name beside robot.yaml."""
    initial_height_m: float
    """Base height at which a robot in the default pose is put down."""
    base_com_in_base_m: tuple[float, float, float]
    """Point whose velocity is the base linear velocity, base frame."""
    reset_joint_factor: tuple[float, float]
    """An episode's joints start at their default positions times factors from this range."""
    reset_velocity: float
    """Half width of each linear [m/s] and angular [rad/s] base velocity at an episode's start."""
    hoist_s: float
    """A robot that can't stand by itself hangs on a hoist until this long after its first command;
    0: it stands."""


ADDED_SIMULATION = {"reset_joint_factor": [0.5, 1.5], "reset_velocity": 0.5, "hoist_s": 0.0}
"""As `ADDED_SAFETY`: Isaac Lab's velocity task, which all robots of the first release had."""


ADDED: dict[str, Any] = {"posture_joints": []}
"""As `ADDED_SAFETY`, of the whole document."""


@dataclass(frozen=True)
class RobotSpec:
    """One robot. Arrays derived from `joints` are in its order, shape (J,), float64."""

    name: str
    control_dt_s: float
    joints: tuple[JointSpec, ...]
    contact_names: tuple[str, ...]
    """Privileged contact columns: bodies whose contact is penalised first, then feet."""
    foot_names: tuple[str, ...]
    """Those of `contact_names` that are feet."""
    extension_names: tuple[str, ...]
    """Privileged real-valued columns; what a simulation can fill, `foot_columns` says."""
    termination_bodies: tuple[str, ...]
    """Bodies whose ground contact ends an episode."""
    posture_joints: tuple[str, ...]
    """Joints that walking leaves near their default positions."""
    link_timeout_s: float
    """The robot's own joint controllers damp when no command came for this long."""
    safety: SafetyLimits
    symmetry: SymmetrySpec
    simulation: SimulationSpec

    @property
    def joint_count(self) -> int:
        return len(self.joints)

    @cached_property
    def joint_names(self) -> tuple[str, ...]:
        return tuple(joint.name for joint in self.joints)

    @cached_property
    def default_position_rad(self) -> FloatArray:
        return self._column("default_position_rad")

    @cached_property
    def lower_rad(self) -> FloatArray:
        return self._column("lower_rad")

    @cached_property
    def upper_rad(self) -> FloatArray:
        return self._column("upper_rad")

    @cached_property
    def velocity_limit_radps(self) -> FloatArray:
        return self._column("velocity_limit_radps")

    @cached_property
    def effort_limit_nm(self) -> FloatArray:
        return self._column("effort_limit_nm")

    @cached_property
    def kp_nm_per_rad(self) -> FloatArray:
        return self._column("kp_nm_per_rad")

    @cached_property
    def kd_nms_per_rad(self) -> FloatArray:
        return self._column("kd_nms_per_rad")

    @cached_property
    def action_scale(self) -> FloatArray:
        """Position target = default position + action_scale * action."""
        return self._column("action_scale")

    @cached_property
    def sha256(self) -> str:
        """Hash of all numbers and names; equal specs have equal hashes whatever their file."""
        return hashlib.sha256(json.dumps(spec_to_dict(self), sort_keys=True).encode()).hexdigest()

    def _column(self, field: str) -> FloatArray:
        column = np.array([getattr(joint, field) for joint in self.joints], dtype=np.float64)
        column.flags.writeable = False
        return column


def known_robots() -> tuple[str, ...]:
    """Names of the robots that ship with rwmu."""
    return tuple(sorted(path.parent.name for path in asset_path("robots").glob("*/robot.yaml")))


def default_robot() -> str:
    """The robot that is meant where none is named: what `assets/robots/default` says."""
    return asset_path("robots", "default").read_text(encoding="ascii").strip()


def robot_folder(name: str) -> Path:
    """Folder of a robot that ships with rwmu.

    Raises:
        RobotSpecError: There is no such robot.
    """
    folder = asset_path("robots", name)
    if not (folder / "robot.yaml").is_file():
        raise RobotSpecError(
            f"no robot '{name}'; known are {', '.join(known_robots())}",
            fix="Name one of these, or give the path of your own robot.yaml.",
        )
    return folder


def load_robot_spec(robot: str | Path) -> RobotSpec:
    """Read a robot.yaml.

    Args:
        robot: The name of a robot that ships with rwmu, or the path of a robot.yaml.

    Raises:
        RobotSpecError: File missing, not YAML, a key missing or unknown, or a value out of range.
    """
    path = Path(robot)
    if path.suffix not in (".yaml", ".yml"):
        path = robot_folder(str(robot)) / "robot.yaml"
    if not path.is_file():
        raise RobotSpecError(f"there is no file {path}", fix="Give the path of a robot.yaml.")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        first_line = str(error).splitlines()[0]
        raise RobotSpecError(
            f"{path} is not YAML: {first_line}", fix="Correct the file."
        ) from None
    spec = spec_from_dict(document, source=str(path))
    for key, added in (
        ("the document", ADDED),
        ("safety", ADDED_SAFETY),
        ("simulation", ADDED_SIMULATION),
    ):
        unstated = sorted(set(added) - set(document.get(key, document)))
        if unstated:
            raise RobotSpecError(f"{path}: {key} misses {', '.join(unstated)}", fix=COMPARE)
    return spec


def spec_from_dict(document: Any, *, source: str) -> RobotSpec:
    """Build a RobotSpec from the nested mapping that robot.yaml and bundle manifests hold.

    Raises:
        RobotSpecError: A key is missing or unknown, or a value is out of range.
    """
    reader = DocumentReader(source)
    top = _with_scale_in_joints(_with_added(document, ADDED))
    top = reader.mapping(top, "", set(RobotSpec.__dataclass_fields__))
    joints = tuple(
        JointSpec(**reader.numbers(entry, f"joints[{i}]", JointSpec, text={"name"}))
        for i, entry in enumerate(reader.sequence(top["joints"], "joints"))
    )
    symmetry = reader.mapping(top["symmetry"], "symmetry", set(SymmetrySpec.__dataclass_fields__))
    simulation = reader.mapping(
        _with_added(top["simulation"], ADDED_SIMULATION),
        "simulation",
        set(SimulationSpec.__dataclass_fields__),
    )
    com = reader.vector(simulation, "simulation", "base_com_in_base_m", "three numbers", 3)
    factor = reader.vector(simulation, "simulation", "reset_joint_factor", "two numbers", 2)
    spec = RobotSpec(
        name=str(top["name"]),
        control_dt_s=reader.number(top["control_dt_s"], "control_dt_s"),
        joints=joints,
        contact_names=reader.names(top["contact_names"], "contact_names"),
        foot_names=reader.names(top["foot_names"], "foot_names"),
        extension_names=reader.names(top["extension_names"], "extension_names"),
        termination_bodies=reader.names(top["termination_bodies"], "termination_bodies"),
        posture_joints=reader.names(top["posture_joints"], "posture_joints"),
        link_timeout_s=reader.number(top["link_timeout_s"], "link_timeout_s"),
        safety=SafetyLimits(
            **reader.numbers(_with_added(top["safety"], ADDED_SAFETY), "safety", SafetyLimits)
        ),
        symmetry=SymmetrySpec(
            reader.name_pairs(symmetry["left_right"], "symmetry.left_right"),
            reader.names(symmetry["left_right_negated"], "symmetry.left_right_negated"),
        ),
        simulation=SimulationSpec(
            mjcf=str(simulation["mjcf"]),
            initial_height_m=reader.number(simulation["initial_height_m"], "initial_height_m"),
            base_com_in_base_m=(com[0], com[1], com[2]),
            reset_joint_factor=(factor[0], factor[1]),
            reset_velocity=reader.number(
                simulation["reset_velocity"], "simulation.reset_velocity"
            ),
            hoist_s=reader.number(simulation["hoist_s"], "simulation.hoist_s"),
        ),
    )
    refuse_nonsense(spec, reader)
    return spec


def spec_to_dict(spec: RobotSpec) -> dict[str, Any]:
    """The mapping that `spec_from_dict` reads; JSON keeps its numbers exactly.

    What the first release did not state is left out where it is as there, so that hashes hold.
    """
    document = {
        "name": spec.name,
        "control_dt_s": spec.control_dt_s,
        "joints": [dict(vars(joint)) for joint in spec.joints],
        "contact_names": list(spec.contact_names),
        "foot_names": list(spec.foot_names),
        "extension_names": list(spec.extension_names),
        "termination_bodies": list(spec.termination_bodies),
        "posture_joints": list(spec.posture_joints),
        "link_timeout_s": spec.link_timeout_s,
        "safety": _without_added(vars(spec.safety), ADDED_SAFETY),
        "symmetry": {
            "left_right": dict(spec.symmetry.left_right),
            "left_right_negated": list(spec.symmetry.left_right_negated),
        },
        "simulation": _without_added(
            {
                "mjcf": spec.simulation.mjcf,
                "initial_height_m": spec.simulation.initial_height_m,
                "base_com_in_base_m": list(spec.simulation.base_com_in_base_m),
                "reset_joint_factor": list(spec.simulation.reset_joint_factor),
                "reset_velocity": spec.simulation.reset_velocity,
                "hoist_s": spec.simulation.hoist_s,
            },
            ADDED_SIMULATION,
        ),
    }
    return _with_one_scale(_without_added(document, ADDED))


def _with_added(document: Any, added: Mapping[str, Any]) -> Any:
    return {**added, **document} if isinstance(document, dict) else document


def _without_added(document: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if added.get(key) != value}


def _with_scale_in_joints(document: Any) -> Any:
    """A document whose joints state their action scales, where one stood for all of them."""
    if not (isinstance(document, dict) and "action_scale" in document):
        return document
    rest = {key: value for key, value in document.items() if key != "action_scale"}
    joints = document.get("joints")
    if not isinstance(joints, list):
        return rest
    if any(isinstance(joint, dict) and "action_scale" in joint for joint in joints):
        return document  # it stands there twice; the reader names it
    scale = {"action_scale": document["action_scale"]}
    joints = [{**joint, **scale} if isinstance(joint, dict) else joint for joint in joints]
    return {**rest, "joints": joints}


def _with_one_scale(document: dict[str, Any]) -> dict[str, Any]:
    """The inverse: one action scale for all joints, where they have the same."""
    scales = [joint["action_scale"] for joint in document["joints"]]
    if len(set(scales)) != 1:
        return document
    joints = [
        {key: value for key, value in joint.items() if key != "action_scale"}
        for joint in document["joints"]
    ]
    return {**document, "action_scale": scales[0], "joints": joints}
