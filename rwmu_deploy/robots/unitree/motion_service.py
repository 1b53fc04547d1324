"""What is asked of the robot's own motion service, and what its answers say.

It drives the motors as long as a mode is on: it commands beside us, and the robot follows both in
turn. Its questions go by number (unitree_ros2 at eea2719, g1_motion_switch_client.hpp).
"""

from __future__ import annotations

import json

from rwmu_deploy.contract.errors import RobotLinkError

REQUEST_TOPIC = "/api/motion_switcher/request"
RESPONSE_TOPIC = "/api/motion_switcher/response"
WHICH_MODE = 1001
"""Question: which mode is on?"""
RELEASE = 1003
"""Question: end it, please. The robot falls where nothing holds it."""


def refuse_failure(code: int) -> None:
    """Do nothing where the service did what it was asked.

    Args:
        code: Of the answer.

    Raises:
        RobotLinkError: It did not.
    """
    if code != 0:
        raise RobotLinkError(
            f"the motion service answered with code {code}; allowed is 0",
            fix="Press L2 and R2 on the remote instead, with the robot hung up.",
        )


def mode_in(code: int, data: str) -> str:
    """Name of the mode that is on; empty: none is, and the motors are free for others.

    Args:
        code: Of the answer to `WHICH_MODE`.
        data: Its JSON.

    Raises:
        RobotLinkError: It failed, or does not name a mode. No answer is never taken for none.
    """
    refuse_failure(code)
    try:
        name = json.loads(data)["name"]
    except (ValueError, TypeError, KeyError):
        name = None
    if not isinstance(name, str):
        raise RobotLinkError(
            f"the motion service answered {data!r}; allowed is JSON with the name of a mode",
            fix="Press L2 and R2 on the remote instead, with the robot hung up.",
        )
    return name
