"""Which topic of a bag plays which role.

The defaults are the topics of our own node (docs/ros2.md), then common names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rwmu_deploy.contract.errors import BagError, ConfigError

NONE = "none"
"""Given as a topic: there is none, even if the bag has one of the default name."""

JOINT_STATE_TYPE = "sensor_msgs/msg/JointState"
IMU_TYPE = "sensor_msgs/msg/Imu"
ODOMETRY_TYPE = "nav_msgs/msg/Odometry"
TWIST_TYPE = "geometry_msgs/msg/Twist"
STAMPED_TWIST_TYPE = "geometry_msgs/msg/TwistStamped"
ARRAY_TYPE = "std_msgs/msg/Float64MultiArray"
TRAJECTORY_TYPE = "trajectory_msgs/msg/JointTrajectory"


@dataclass(frozen=True)
class TopicRole:
    """What a topic is needed for."""

    name: str
    defaults: tuple[str, ...]
    """Names that are looked for, the first one found counts."""
    types: tuple[str, ...]
    is_required: bool


ROLES = (
    TopicRole("joint_state", ("/joint_states",), (JOINT_STATE_TYPE,), True),
    TopicRole("imu", ("/imu", "/imu/data"), (IMU_TYPE,), False),
    TopicRole("odometry", ("/odom",), (ODOMETRY_TYPE,), True),
    TopicRole(
        "joint_command",
        ("/joint_command", "/joint_commands"),
        (ARRAY_TYPE, JOINT_STATE_TYPE, TRAJECTORY_TYPE),
        True,
    ),
    TopicRole("command_velocity", ("/cmd_vel",), (TWIST_TYPE, STAMPED_TWIST_TYPE), False),
    TopicRole("contact", ("/contacts",), (ARRAY_TYPE,), False),
)


def parse_topics(words: Sequence[str]) -> dict[str, str]:
    """Role -> topic of words such as `imu=/imu/data` or `contact=none`.

    Raises:
        ConfigError: A word is no such pair, a role is unknown or named twice, or a topic that is
            required is `none`.
    """
    roles = {role.name: role for role in ROLES}
    topics: dict[str, str] = {}
    for word in words:
        name, _, topic = word.partition("=")
        if name not in roles or not topic or name in topics:
            raise ConfigError(
                f"--topics has {word!r}; allowed is role=/topic, each role once, with a role "
                f"among {', '.join(roles)}",
                fix="Write, for example, --topics imu=/imu/data.",
            )
        if topic == NONE and roles[name].is_required:
            raise ConfigError(
                f"--topics has {word!r}, but every row needs a {name}", fix="Name its topic."
            )
        topics[name] = topic if topic == NONE else f"/{topic.lstrip('/')}"
    return topics


def choose_topics(asked: Mapping[str, str], types: Mapping[str, str]) -> dict[str, str]:
    """Role -> topic of the bag; roles that no topic plays are left out.

    Args:
        asked: Roles whose topic was named.
        types: Topic -> ROS type of everything in the bag.

    Raises:
        BagError: A topic is missing or of a type that can't play its role; or no IMU was found
            under the usual names while the bag has one under another.
    """
    chosen: dict[str, str] = {}
    for role in ROLES:
        topic = asked.get(role.name) or next((t for t in role.defaults if t in types), None)
        if topic == NONE:
            continue
        if topic is None:
            if role.is_required or (role.name == "imu" and IMU_TYPE in types.values()):
                raise _missing(role, " or ".join(role.defaults), types)
            continue
        if topic not in types:
            raise _missing(role, topic, types)
        if types[topic] not in role.types:
            raise BagError(
                f"{topic} is of type {types[topic]}; allowed for {role.name} is "
                f"{' or '.join(role.types)}",
                fix=f"Name another topic: --topics {role.name}=/topic.",
            )
        chosen[role.name] = topic
    return chosen


def unused_topics(role_name: str, types: Mapping[str, str]) -> list[str]:
    """Topics of the bag that could play a role, by their type."""
    role = next(role for role in ROLES if role.name == role_name)
    return [topic for topic, kind in types.items() if kind in role.types]


def _missing(role: TopicRole, wanted: str, types: Mapping[str, str]) -> BagError:
    listed = ", ".join(f"{topic} ({kind})" for topic, kind in sorted(types.items()))
    fix = f"Name the topic: --topics {role.name}=/topic" + (
        "." if role.is_required else f", or {role.name}={NONE}."
    )
    return BagError(f"the bag has no {role.name} {wanted}; it has {listed or 'no topic'}", fix=fix)
