"""The environment that suits the device on which robots are imagined."""

from __future__ import annotations

import torch

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.environment.captured_env import CapturedEnv
from rwmu_train.environment.cuda_graph import CudaGraph
from rwmu_train.environment.dynamics import Dynamics
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.imagination.imagined_dynamics import ImaginedDynamics
from rwmu_train.task.velocity_task import VelocityTask


def imagined_env(
    spec: RobotSpec,
    task: VelocityTask,
    settings: EnvSettings,
    imagined: ImaginedDynamics,
    *,
    seed: int,
    ended: Dynamics | None = None,
) -> VelocityEnv:
    """Imagined robots that follow commands; on a GPU each step of theirs is one CUDA graph.

    Args:
        spec: The robot.
        task: What is asked.
        settings: Timing, reward shape and noise.
        imagined: The robots.
        seed: Seed of commands, pushes and noise.
        ended: The same robots with all that ends their episodes; None: nothing else does.
    """
    dynamics = imagined if ended is None else ended
    if torch.device(imagined.device).type != "cuda":
        return VelocityEnv(spec, task, settings, dynamics, seed=seed)
    return CapturedEnv(
        spec,
        task,
        settings,
        dynamics,
        seed=seed,
        graph=CudaGraph,
        between_steps=imagined.refill_starts,
    )
