"""Hold a policy's robot against the robot that it shall run on, joint by joint, by name."""

from __future__ import annotations

from dataclasses import fields, replace

from rwmu_deploy.contract.errors import BundleError
from rwmu_deploy.contract.robot_spec import JointSpec, RobotSpec

_FIX = "Use the bundle of this robot, or train with this robot.yaml and export again."


def match_robot(trained: RobotSpec, robot: RobotSpec) -> RobotSpec:
    """The robot's spec in the bundle's joint order.

    Everything that the policy was trained with must be equal: time step, and for every joint
    default position, limits, gains and action scale. The rest (safety limits, link timeout,
    contact names) is the robot's own, so that it can be made stricter without another training.

    Args:
        trained: The spec inside the bundle.
        robot: The spec of the robot.

    Raises:
        BundleError: Another set of joints, or a number differs; both values are named.
    """
    theirs, ours = set(trained.joint_names), set(robot.joint_names)
    if theirs != ours:
        raise BundleError(
            f"trained robot and robot have different joints: only trained '{trained.name}' has "
            f"{_listed(theirs - ours)}, only robot '{robot.name}' has {_listed(ours - theirs)}",
            fix=_FIX,
        )
    _refuse_difference("control_dt_s", trained.control_dt_s, robot.control_dt_s)
    robot_joints = {joint.name: joint for joint in robot.joints}
    for joint in trained.joints:
        for field in fields(JointSpec):
            _refuse_difference(
                f"joint {joint.name} {field.name}",
                getattr(joint, field.name),
                getattr(robot_joints[joint.name], field.name),
            )
    return replace(robot, joints=tuple(robot_joints[name] for name in trained.joint_names))


def _refuse_difference(what: str, trained_value: object, robot_value: object) -> None:
    if trained_value != robot_value:
        raise BundleError(
            f"{what} differs: trained with {trained_value}, robot {robot_value}; they must "
            "be equal",
            fix=_FIX,
        )


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
