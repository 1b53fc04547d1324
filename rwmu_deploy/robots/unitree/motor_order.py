"""Which motor of Unitree's messages turns which joint of the 29-joint G1, by name."""

from __future__ import annotations

from rwmu_deploy.contract.errors import RobotSpecError
from rwmu_deploy.contract.robot_spec import RobotSpec

_LEG = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
_WAIST = ("waist_yaw", "waist_roll", "waist_pitch")
_ARM = (
    *("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow"),
    *("wrist_roll", "wrist_pitch", "wrist_yaw"),
)
MOTOR_NAMES = (
    *(f"left_{name}_joint" for name in _LEG),
    *(f"right_{name}_joint" for name in _LEG),
    *(f"{name}_joint" for name in _WAIST),
    *(f"left_{name}_joint" for name in _ARM),
    *(f"right_{name}_joint" for name in _ARM),
)
"""Joint of each motor, from index 0 (unitree_mujoco, g1_joint_index_dds.md). The messages carry
six motors more, which this robot has not."""


def motor_of_joint(spec: RobotSpec) -> list[int]:
    """Index of each joint's motor in the messages, in RobotSpec order.

    Raises:
        RobotSpecError: As `refuse_other_joints`.
    """
    refuse_other_joints(spec)
    return [MOTOR_NAMES.index(name) for name in spec.joint_names]


def refuse_other_joints(spec: RobotSpec) -> None:
    """Do nothing where the robot has exactly these joints, in whatever order.

    Raises:
        RobotSpecError: A joint is missing, strange, or there twice.
    """
    missing = [name for name in MOTOR_NAMES if name not in spec.joint_names]
    strange = [name for name in spec.joint_names if name not in MOTOR_NAMES]
    if len(spec.joint_names) == len(MOTOR_NAMES) and not (missing or strange):
        return
    found = f"without {', '.join(missing) or 'none'}, and with {', '.join(strange) or 'no other'}"
    raise RobotSpecError(
        f"robot {spec.name} has {spec.joint_count} joints, {found}; allowed are exactly the "
        f"{len(MOTOR_NAMES)} of this robot's motors: {', '.join(MOTOR_NAMES)}",
        fix="Use the robot.yaml and the bundle of the G1 with 29 joints.",
    )
