"""How good a policy is in imagination: the offline rule by which a policy is chosen.

The simulator takes no part. All candidates meet the same starting states and commands, without
observation noise and pushes, and act without exploration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.environment.dynamics import Dynamics
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.task.velocity_task import ObservationNoise, VelocityTask

SCORED_STEPS = 128


@torch.no_grad()
def imagined_score(
    policy: Callable[[Tensor], Tensor],
    spec: RobotSpec,
    task: VelocityTask,
    settings: EnvSettings,
    dynamics: Dynamics,
    *,
    seed: int,
) -> float:
    """Mean reward per step, penalties for uncertainty and falls included.

    Args:
        policy: Observations (N, O) to actions (N, A).
        spec: The robot.
        task: What is asked.
        settings: The reward of training.
        dynamics: Imagined robots, made anew with one seed for every candidate.
        seed: Seed of the commands.
    """
    quiet = replace(settings, noise=ObservationNoise(scale=0.0))
    calm = replace(task, push_velocity_mps=0.0)
    env = VelocityEnv(spec, calm, quiet, dynamics, seed=seed)
    observation = env.get_observations()
    total = torch.zeros((), device=env.device)
    for _ in range(SCORED_STEPS):
        observation, reward, _, _ = env.step(policy(observation["policy"]))
        total += reward.mean()
    return float(total) / SCORED_STEPS
