"""What every robot is asked for, settled before any of them moves.

N = robots, K = commands of an episode.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rwmu_train.task.velocity_task import VelocityTask


def command_plan(task: VelocityTask, robots: int, commands: int, seed: int) -> Tensor:
    """Random commands vx, vy [m/s], wz [rad/s] of the task, shape (N, K, 3).

    Drawn beforehand, they do not depend on who falls: policies are compared under equal commands.
    """
    generator = torch.Generator().manual_seed(seed)
    lower, upper = torch.tensor(task.command_lower), torch.tensor(task.command_upper)
    plan = torch.empty(robots, commands, 3)
    for k in range(commands):
        command = lower + torch.rand((robots, 3), generator=generator) * (upper - lower)
        standing = torch.rand((robots, 1), generator=generator) < task.standing_share
        plan[:, k] = command.masked_fill(standing, 0.0)
    return plan
