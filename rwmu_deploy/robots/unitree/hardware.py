"""Which robot stands behind the messages, by the number that it gives itself."""

from __future__ import annotations

from dataclasses import dataclass

from rwmu_deploy.contract.errors import RobotLinkError, RobotSpecError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.robots.unitree.motor_order import refuse_other_joints


@dataclass(frozen=True)
class Hardware:
    """One number of `mode_machine`."""

    says: str
    joints: int | None
    """How many can be commanded; None: as many as the robot.yaml has, nobody checks."""


HARDWARE = {
    0: Hardware("a simulator, no robot", None),
    2: Hardware("29 joints, deprecated, other hip roll and torso", 29),
    4: Hardware("23 joints", 23),
    5: Hardware("29 joints, revision 1.0", 29),
    11: Hardware("29 joints, stronger hip pitch", 29),
    12: Hardware("stronger hip pitch, waist roll and pitch fixed", 27),
    13: Hardware("29 joints, stronger wrists", 29),
    14: Hardware("stronger wrists, waist locked", 26),
    15: Hardware("29 joints, stronger hip pitch and wrists", 29),
    16: Hardware("stronger hip pitch and wrists, waist locked", 26),
}
"""By mode_machine; unitreerobotics/unitree_ros at d6f13aa, robots/g1_description/README.md. The
counts where the waist is locked are inferred."""


def named(mode_machine: int) -> str:
    """A number in words."""
    known = HARDWARE.get(mode_machine)
    return f"{mode_machine} ({known.says if known else 'unknown hardware'})"


def refuse_other_hardware(spec: RobotSpec, mode_machine: int) -> None:
    """Hold the hardware that an operator expects against the robot that a bundle is of.

    Raises:
        RobotSpecError: Other joints than those of the motors, or another number of them than the
            hardware has.
        RobotLinkError: Nobody knows such hardware.
    """
    refuse_other_joints(spec)
    known = HARDWARE.get(mode_machine)
    if known is None:
        raise RobotLinkError(
            f"mode_machine {mode_machine} is unknown; known are "
            + ", ".join(named(number) for number in HARDWARE),
            fix="Read it from LowState, and ask Unitree which hardware it is.",
        )
    if known.joints is not None and known.joints != spec.joint_count:
        raise RobotSpecError(
            f"robot {spec.name} has {spec.joint_count} joints, hardware {named(mode_machine)} "
            f"has {known.joints}",
            fix="Use a bundle that was trained for this hardware.",
        )
