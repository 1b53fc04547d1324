"""Bags written with the library that reads them: one content, three formats."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

from rwmu_deploy.contract.robot_spec import RobotSpec

START_S = 1_700_000_000
FORMATS = ("mcap", "sqlite3", "ros1")
COMMAND_COLUMNS = "position_rad,kp_nm_per_rad,kd_nms_per_rad"


@dataclass(frozen=True)
class Entry:
    """A message: its fields as nested mappings, its times in seconds since START_S."""

    topic: str
    type: str
    received_s: float
    fields: dict[str, Any] = field(default_factory=dict)
    stamp_s: float | None = None


def nanoseconds(time_s: float) -> int:
    return START_S * 10**9 + round(time_s * 1e9)


def build(store: Any, kind: str, fields: dict[str, Any]) -> Any:
    """A message of a typestore; what is not given is 0, "" or empty."""
    values = {}
    for name, (node, details) in store.fielddefs[kind][1]:
        given = fields.get(name)
        if node == Nodetype.NAME:
            values[name] = build(store, details, given or {})
        elif node == Nodetype.BASE:
            values[name] = ("" if details[0] == "string" else 0) if given is None else given
        else:
            (element, inner), length = details
            if element == Nodetype.NAME:
                values[name] = [build(store, inner, entry) for entry in given or ()]
            elif inner[0] == "string":
                values[name] = list(given or ())
            else:
                empty = np.zeros(length)
                values[name] = np.array(empty if given is None else given, dtype=inner[0])
    return store.types[kind](**values)


def write_bag(
    path: Path, form: str, entries: Sequence[Entry], silent: Sequence[Entry] = ()
) -> Path:
    """Write a bag; the path gets the format's ending. Topics of `silent` get no message."""
    is_ros1 = form == "ros1"
    store = get_typestore(Stores.ROS1_NOETIC if is_ros1 else Stores.ROS2_JAZZY)
    if is_ros1:
        path = path.with_suffix(".bag")
        writer: Any = Writer1(path)
    else:
        writer = Writer2(path, version=9, storage_plugin=StoragePlugin[form.upper()])
    with writer:
        connections = {}
        for entry in (*entries, *silent):
            if entry.topic not in connections:
                connections[entry.topic] = writer.add_connection(
                    entry.topic, entry.type, typestore=store
                )
        for entry in entries:
            fields = dict(entry.fields)
            if entry.stamp_s is not None:
                second, nanosecond = divmod(nanoseconds(entry.stamp_s), 10**9)
                stamp = {"sec": second, "nanosec": nanosecond}
                fields["header"] = {**fields.get("header", {}), "stamp": stamp}
            message = build(store, entry.type, fields)
            serialise = store.serialize_ros1 if is_ros1 else store.serialize_cdr
            writer.write(
                connections[entry.topic],
                nanoseconds(entry.received_s),
                serialise(message, entry.type),
            )
    return path


def vector(values: Sequence[float]) -> dict[str, float]:
    return dict(zip("xyz", map(float, values), strict=True))


def quaternion(wxyz: Sequence[float]) -> dict[str, float]:
    return dict(zip("wxyz", map(float, wxyz), strict=True))


def joint_state(time_s: float, names: Sequence[str], q: Any, dq: Any, effort: Any) -> Entry:
    fields = {"name": list(names), "position": q, "velocity": dq, "effort": effort}
    return Entry("/joint_states", "sensor_msgs/msg/JointState", time_s, fields, time_s)


def imu(time_s: float, wxyz: Any, rate: Any) -> Entry:
    fields = {
        "header": {"frame_id": "base"},
        "orientation": quaternion(wxyz),
        "angular_velocity": vector(rate),
    }
    return Entry("/imu", "sensor_msgs/msg/Imu", time_s, fields, time_s)


def odometry(
    time_s: float, velocity: Any, wxyz: Any = (1, 0, 0, 0), rate: Any = (0, 0, 0)
) -> Entry:
    fields = {
        "child_frame_id": "base",
        "pose": {"pose": {"orientation": quaternion(wxyz)}},
        "twist": {"twist": {"linear": vector(velocity), "angular": vector(rate)}},
    }
    return Entry("/odom", "nav_msgs/msg/Odometry", time_s, fields, time_s)


def table(
    topic: str, time_s: float, rows: Sequence[str], columns: str, values: np.ndarray
) -> Entry:
    height, width = values.shape
    dims = [
        {"label": ",".join(rows), "size": height, "stride": height * width},
        {"label": columns, "size": width, "stride": width},
    ]
    fields = {"layout": {"dim": dims}, "data": values.ravel()}
    return Entry(topic, "std_msgs/msg/Float64MultiArray", time_s, fields)


def command(time_s: float, spec: RobotSpec, target: np.ndarray, gain: float = 1.0) -> Entry:
    kp, kd = gain * spec.kp_nm_per_rad, spec.kd_nms_per_rad
    values = np.stack([target, kp, kd], axis=1)
    return table("/joint_command", time_s, spec.joint_names, COMMAND_COLUMNS, values)


def twist(time_s: float, velocity: Sequence[float]) -> Entry:
    vx, vy, wz = velocity
    fields = {"linear": vector((vx, vy, 0)), "angular": vector((0, 0, wz))}
    return Entry("/cmd_vel", "geometry_msgs/msg/Twist", time_s, fields)


def target_of_tick(spec: RobotSpec, tick: int) -> np.ndarray:
    """The target that tick `tick` sends, at tick * 0.02 s."""
    return spec.default_position_rad + 0.1 * np.sin(tick + np.arange(spec.joint_count))


@dataclass(frozen=True)
class Motion:
    """A robot whose numbers are known at every time."""

    spec: RobotSpec

    def position_rad(self, t: float) -> np.ndarray:
        return self.spec.default_position_rad + 0.05 * np.sin(3.0 * t + self._phase())

    def velocity_radps(self, t: float) -> np.ndarray:
        return 0.15 * np.cos(3.0 * t + self._phase())

    def torque_nm(self, t: float) -> np.ndarray:
        return 10.0 * t + self._phase()

    def roll_rad(self, t: float) -> float:
        return 0.2 * t

    def linear_mps(self, t: float) -> np.ndarray:
        return np.array([0.5 * t, 0.1, -0.2 * t])

    def rate_radps(self, t: float) -> np.ndarray:
        return np.array([0.2, 0.3 * t, 0.0])

    def entries(self, seconds: float, rate_hz: float = 200.0) -> list[Entry]:
        """Everything that our own node's topics would hold, in order of receipt."""
        spec = self.spec
        entries: list[Entry] = []
        for t in (np.arange(round(seconds * rate_hz)) / rate_hz).tolist():
            wxyz = (np.cos(self.roll_rad(t) / 2), np.sin(self.roll_rad(t) / 2), 0, 0)
            q, dq, tau = self.position_rad(t), self.velocity_radps(t), self.torque_nm(t)
            entries += [
                joint_state(t, spec.joint_names, q, dq, tau),
                imu(t, wxyz, self.rate_radps(t)),
                odometry(t, self.linear_mps(t), wxyz, self.rate_radps(t)),
            ]
        for tick in range(round(seconds / spec.control_dt_s)):
            entries.append(command(tick * 0.02, spec, target_of_tick(spec, tick)))
        entries += [twist(0.05 * i, (0.3, 0.0, -0.1)) for i in range(round(seconds / 0.05))]
        return sorted(entries, key=lambda entry: entry.received_s)

    def _phase(self) -> np.ndarray:
        return np.arange(self.spec.joint_count)


def without(entries: Sequence[Entry], topic: str, begin_s: float, end_s: float) -> list[Entry]:
    """All but the messages of a topic received in [begin_s, end_s)."""
    return [e for e in entries if e.topic != topic or not begin_s <= e.received_s < end_s]


def edited(entries: Sequence[Entry], topic: str, edit: Callable[[Entry], Entry]) -> list[Entry]:
    """The entries, those of a topic changed."""
    return [edit(entry) if entry.topic == topic else entry for entry in entries]


def with_fields(entry: Entry, **fields: Any) -> Entry:
    """The entry with other fields."""
    return replace(entry, fields={**entry.fields, **fields})
