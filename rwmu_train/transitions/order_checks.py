"""Say which joint order data are in, where it isn't the robot's."""

from __future__ import annotations

from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.findings import Findings
from rwmu_train.transitions.joint_order import likely_joint_order
from rwmu_train.transitions.joint_pairing import mispaired_joints

_FIX = "write states and actions in the order of robot.yaml"


def check_joint_order(dataset: TransitionDataset) -> Findings:
    """States and actions are in one order, and it is the robot's."""
    names = dataset.spec.joint_names
    problems: list[str] = []
    mispaired = mispaired_joints(dataset)
    if mispaired:
        pairs = ", ".join(f"{joint} by action[{action}]" for joint, action in mispaired.items())
        problems.append(
            f"actions and states are in different joint orders: torques are explained for "
            f"{pairs}; {_FIX}"
        )
    suspect = tuple(names.index(mispaired.get(name, name)) for name in names)
    is_order = len(set(suspect)) == len(names)
    order = likely_joint_order(dataset, (suspect,) if is_order else ())
    if order is not None:
        problems.append(
            "joint positions and velocities are not in the robot's order: feet stand still on the "
            f"ground only if the columns are {', '.join(order)}; {_FIX}"
        )
    return Findings(tuple(problems))
