"""Behaviours: what robots do in a recording, following a policy or a script.

Scripts have names. They are there to identify a robot, and for data sets without a policy.
n = robots that act together, N = all robots, O = observation size, A = action size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rwmu_deploy.contract.named_choice import find_by_name
from rwmu_deploy.contract.robot_spec import RobotSpec

Behaviour = Callable[[Tensor, Tensor, float], Tensor]
"""Observations (n, O), numbers of the robots (n,) and time of the recording [s] to actions (n, A).
It keeps no state of its own: groups of robots call it side by side."""

SQUAT_DEPTH = (0.2, 0.8)
"""Range of a squat's amplitude, as a share of each joint's default position."""
SQUAT_FREQUENCY_HZ = (0.3, 2.0)


def follow(policy: Callable[[Tensor], Tensor]) -> Behaviour:
    """Do what a policy says: observations (n, O) to actions (n, A)."""
    return lambda observation, robots, time_s: policy(observation)


def stand(spec: RobotSpec, robots: int, seed: int) -> Behaviour:
    """Always command the default pose."""
    return follow(lambda observation: observation.new_zeros(len(observation), spec.joint_count))


def squat(spec: RobotSpec, robots: int, seed: int) -> Behaviour:
    """Bend and stretch about the default pose, each robot at its own depth and frequency.

    Every joint moves in proportion to its default position, so that joints which stand at 0 stay
    there, and a leg whose angles add up to 0 folds with its foot level.

    Args:
        spec: The robot.
        robots: N.
        seed: Draws depth, frequency and phase of every robot.
    """
    share = torch.rand((3, robots), generator=torch.Generator().manual_seed(seed))
    depth = SQUAT_DEPTH[0] + (SQUAT_DEPTH[1] - SQUAT_DEPTH[0]) * share[0]
    slowest_hz, fastest_hz = SQUAT_FREQUENCY_HZ
    frequency_hz = slowest_hz + (fastest_hz - slowest_hz) * share[1]
    pose = torch.tensor(spec.default_position_rad / spec.action_scale, dtype=torch.float32)

    def act(observation: Tensor, numbers: Tensor, time_s: float) -> Tensor:
        turns = frequency_hz[numbers] * time_s + share[2, numbers]
        return (depth[numbers] * torch.sin(2.0 * torch.pi * turns)).unsqueeze(1) * pose

    return act


@dataclass(frozen=True)
class ScriptedBehaviour:
    """What robots do, and how far they stray from it."""

    make: Callable[[RobotSpec, int, int], Behaviour]
    """From the robot, N and a seed."""
    action_noise: tuple[float, ...]
    """Standard deviations of white noise on the actions; robots take them in turn."""


BEHAVIOURS: Mapping[str, ScriptedBehaviour] = {
    "stand": ScriptedBehaviour(stand, (0.0,)),
    "random": ScriptedBehaviour(stand, (1.0,)),
    "squat": ScriptedBehaviour(squat, (0.0,)),
}


def find_behaviour(name: str) -> ScriptedBehaviour:
    """A behaviour by name.

    Raises:
        ConfigError: There is no such behaviour.
    """
    return find_by_name(BEHAVIOURS, name, "behaviour")
