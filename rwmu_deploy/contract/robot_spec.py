"""RobotSpec: everything about one robot that trainer and runtime must agree on.

It is read from `assets/robots/<name>/robot.yaml`. Its joint order is the policy's order and the
order of every CSV column. J = number of joints.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from rwmu_deploy.contract.asset_folder import asset_path
from rwmu_deploy.contract.errors import RobotSpecError

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
    """How a mirrored robot's joints and contacts follow from the original's."""

    left_right: dict[str, str]
    """Joint or contact name -> name of its mirror image."""
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


@dataclass(frozen=True)
class RobotSpec:
    """One robot. Arrays derived from `joints` are in its order, shape (J,), float64."""

    name: str
    control_dt_s: float
    action_scale: float
    """Joint position target = default position + action_scale * action."""
    joints: tuple[JointSpec, ...]
    contact_names: tuple[str, ...]
    """Privileged contact columns: bodies whose contact is penalised first, then feet."""
    foot_names: tuple[str, ...]
    """Those of `contact_names` that are feet."""
    extension_names: tuple[str, ...]
    """Privileged real-valued columns (none on ANYmal D)."""
    termination_bodies: tuple[str, ...]
    """Bodies whose ground contact ends an episode."""
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
    def sha256(self) -> str:
        """Hash of all numbers and names; equal specs have equal hashes whatever their file."""
        return hashlib.sha256(json.dumps(spec_to_dict(self), sort_keys=True).encode()).hexdigest()

    def _column(self, field: str) -> FloatArray:
        column = np.array([getattr(joint, field) for joint in self.joints], dtype=np.float64)
        column.flags.writeable = False
        return column


def robot_folder(name: str) -> Path:
    """Folder of a robot that ships with rwmu.

    Raises:
        RobotSpecError: There is no such robot.
    """
    robots = asset_path("robots")
    folder = robots / name
    if not (folder / "robot.yaml").is_file():
        known = sorted(path.parent.name for path in robots.glob("*/robot.yaml"))
        raise RobotSpecError(
            f"no robot '{name}'; known are {', '.join(known)}",
            fix="Name one of these, or give the path of your own robot.yaml.",
        )
    return folder


def load_robot_spec(robot: str | Path) -> RobotSpec:
    """Read a robot.yaml.

    Args:
        robot: A robot's name ("anymal_d") or the path of a robot.yaml.

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
    unstated = sorted(set(ADDED_SAFETY) - set(document["safety"]))
    if unstated:
        raise RobotSpecError(
            f"{path}: safety misses {', '.join(unstated)}",
            fix="Compare it with assets/robots/anymal_d/robot.yaml; there are no defaults.",
        )
    return spec


def spec_from_dict(document: Any, *, source: str) -> RobotSpec:
    """Build a RobotSpec from the nested mapping that robot.yaml and bundle manifests hold.

    Raises:
        RobotSpecError: A key is missing or unknown, or a value is out of range.
    """
    reader = _Reader(source)
    top = reader.mapping(document, "", set(RobotSpec.__dataclass_fields__))
    joints = tuple(
        JointSpec(**reader.numbers(entry, f"joints[{i}]", JointSpec, text={"name"}))
        for i, entry in enumerate(reader.sequence(top["joints"], "joints"))
    )
    symmetry = reader.mapping(top["symmetry"], "symmetry", set(SymmetrySpec.__dataclass_fields__))
    simulation = reader.mapping(
        top["simulation"], "simulation", set(SimulationSpec.__dataclass_fields__)
    )
    com = tuple(
        reader.number(value, "simulation.base_com_in_base_m")
        for value in reader.sequence(simulation["base_com_in_base_m"], "base_com_in_base_m")
    )
    if len(com) != 3:
        raise reader.error("simulation.base_com_in_base_m", com, "three numbers")
    spec = RobotSpec(
        name=str(top["name"]),
        control_dt_s=reader.number(top["control_dt_s"], "control_dt_s"),
        action_scale=reader.number(top["action_scale"], "action_scale"),
        joints=joints,
        contact_names=reader.names(top["contact_names"], "contact_names"),
        foot_names=reader.names(top["foot_names"], "foot_names"),
        extension_names=reader.names(top["extension_names"], "extension_names"),
        termination_bodies=reader.names(top["termination_bodies"], "termination_bodies"),
        link_timeout_s=reader.number(top["link_timeout_s"], "link_timeout_s"),
        safety=SafetyLimits(
            **reader.numbers(_with_added_limits(top["safety"]), "safety", SafetyLimits)
        ),
        symmetry=SymmetrySpec(
            reader.name_pairs(symmetry["left_right"], "symmetry.left_right"),
            reader.names(symmetry["left_right_negated"], "symmetry.left_right_negated"),
        ),
        simulation=SimulationSpec(
            mjcf=str(simulation["mjcf"]),
            initial_height_m=reader.number(simulation["initial_height_m"], "initial_height_m"),
            base_com_in_base_m=com,
        ),
    )
    _refuse_nonsense(spec, reader)
    return spec


def spec_to_dict(spec: RobotSpec) -> dict[str, Any]:
    """The mapping that `spec_from_dict` reads; JSON keeps its numbers exactly."""
    return {
        "name": spec.name,
        "control_dt_s": spec.control_dt_s,
        "action_scale": spec.action_scale,
        "joints": [dict(vars(joint)) for joint in spec.joints],
        "contact_names": list(spec.contact_names),
        "foot_names": list(spec.foot_names),
        "extension_names": list(spec.extension_names),
        "termination_bodies": list(spec.termination_bodies),
        "link_timeout_s": spec.link_timeout_s,
        "safety": {
            name: limit
            for name, limit in vars(spec.safety).items()
            if ADDED_SAFETY.get(name) != limit
        },
        "symmetry": {
            "left_right": dict(spec.symmetry.left_right),
            "left_right_negated": list(spec.symmetry.left_right_negated),
        },
        "simulation": {
            "mjcf": spec.simulation.mjcf,
            "initial_height_m": spec.simulation.initial_height_m,
            "base_com_in_base_m": list(spec.simulation.base_com_in_base_m),
        },
    }


def _with_added_limits(safety: Any) -> Any:
    return {**ADDED_SAFETY, **safety} if isinstance(safety, dict) else safety


class _Reader:
    """Reads values out of a parsed YAML or JSON document and names what is wrong."""

    def __init__(self, source: str) -> None:
        self.source = source

    def error(self, key: str, value: Any, allowed: str) -> RobotSpecError:
        return RobotSpecError(
            f"{self.source}: {key} is {value!r}; allowed is {allowed}",
            fix=f"Correct {key} there.",
        )

    def mapping(self, value: Any, key: str, keys: set[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.error(key or "the document", type(value).__name__, "a mapping")
        missing, unknown = sorted(keys - set(value)), sorted(set(value) - keys)
        if missing or unknown:
            said = [f"misses {', '.join(missing)}"] if missing else []
            said += [f"has unknown keys {', '.join(map(str, unknown))}"] if unknown else []
            raise RobotSpecError(
                f"{self.source}: {key or 'the document'} {' and '.join(said)}",
                fix="Compare it with assets/robots/anymal_d/robot.yaml; there are no defaults.",
            )
        return value

    def sequence(self, value: Any, key: str) -> list[Any]:
        if not isinstance(value, list):
            raise self.error(key, value, "a list")
        return value

    def names(self, value: Any, key: str) -> tuple[str, ...]:
        names = tuple(str(name) for name in self.sequence(value, key))
        if len(set(names)) != len(names):
            raise self.error(key, names, "a list in which every name stands once")
        return names

    def name_pairs(self, value: Any, key: str) -> dict[str, str]:
        if not isinstance(value, dict):
            raise self.error(key, value, "a mapping from names to names")
        return {str(name): str(other) for name, other in value.items()}

    def number(self, value: Any, key: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.error(key, value, "a number")
        if not math.isfinite(value):
            raise self.error(key, value, "a finite number")
        return float(value)

    def numbers(
        self, value: Any, key: str, kind: type, text: set[str] | None = None
    ) -> dict[str, Any]:
        entry = self.mapping(value, key, set(kind.__dataclass_fields__))
        return {
            field: str(v) if text and field in text else self.number(v, f"{key}.{field}")
            for field, v in entry.items()
        }


def _refuse_nonsense(spec: RobotSpec, reader: _Reader) -> None:
    if not spec.joints:
        raise reader.error("joints", [], "at least one joint")
    if len(set(spec.joint_names)) != spec.joint_count:
        raise reader.error("joints", spec.joint_names, "a list in which every name stands once")
    for key in ("control_dt_s", "action_scale", "link_timeout_s"):
        if not getattr(spec, key) > 0.0:
            raise reader.error(key, getattr(spec, key), "a number above 0")
    for name, limit in vars(spec.safety).items():
        if not limit > 0.0:
            raise reader.error(f"safety.{name}", limit, "a number above 0 (no check can be off)")
    for hold, damp in (
        ("sensor_age_hold_s", "sensor_age_damp_s"),
        ("joint_outside_hold_rad", "joint_outside_damp_rad"),
    ):
        limit, worse = getattr(spec.safety, hold), getattr(spec.safety, damp)
        if not limit <= worse:
            raise reader.error(f"safety.{hold}", limit, f"up to safety.{damp}, which is {worse}")
    for joint in spec.joints:
        if not joint.lower_rad < joint.upper_rad:
            raise reader.error(
                f"joint {joint.name} lower_rad", joint.lower_rad, f"below {joint.upper_rad}"
            )
        if not joint.lower_rad <= joint.default_position_rad <= joint.upper_rad:
            raise reader.error(
                f"joint {joint.name} default_position_rad",
                joint.default_position_rad,
                f"{joint.lower_rad} to {joint.upper_rad}",
            )
        for field in ("velocity_limit_radps", "effort_limit_nm", "kp_nm_per_rad"):
            if not getattr(joint, field) > 0.0:
                raise reader.error(
                    f"joint {joint.name} {field}", getattr(joint, field), "a number above 0"
                )
        if not joint.kd_nms_per_rad >= 0.0:
            raise reader.error(f"joint {joint.name} kd_nms_per_rad", joint.kd_nms_per_rad, "0 up")
    strangers = [name for name in spec.foot_names if name not in spec.contact_names]
    if strangers:
        raise reader.error("foot_names", strangers, f"names among {spec.contact_names}")
