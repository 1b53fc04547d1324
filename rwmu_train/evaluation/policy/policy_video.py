"""A short film of a policy: a robot that walks through a fixed script of commands."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import torch

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec, robot_folder
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.simulation.robot_batch import ResetRange, RobotBatch
from rwmu_deploy.simulation.robot_variant import RobotVariant
from rwmu_train.environment.observation_torch import build_observation
from rwmu_train.evaluation.policy.simulated_episodes import FloatArray, Policy
from rwmu_train.task.velocity_task import VelocityTask

SCRIPT = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
"""Commands one after the other, as shares of the task's largest: stand, forward, back, left, turn
left."""
SECONDS_EACH = 2.5
FILMS = {"gif": 10, "mp4": 25}
"""Frames a second."""
_RENDERER = "rwmu_train.evaluation.policy.film_process"
_LONGEST_S = 300


def refuse_film(kind: str) -> None:
    """Refuse an MP4 where nothing can write one.

    Raises:
        ConfigError: A package is missing.
    """
    missing = [name for name in ("imageio", "imageio_ffmpeg") if find_spec(name) is None]
    if kind == "mp4" and missing:
        raise ConfigError(
            f"--video mp4 needs the packages imageio and imageio-ffmpeg; {missing[0]} is missing",
            fix="Install both with pip, or use --video gif.",
        )


def policy_film(
    policy: Policy, spec: RobotSpec, task: VelocityTask, variant: RobotVariant, kind: str
) -> bytes:
    """A file's bytes, rendered in a process of its own: OpenGL ends what it can't serve.

    Args:
        policy: Who walks.
        spec: The robot.
        task: Gives the largest commands.
        variant: Which simulated robot.
        kind: One of FILMS.

    Raises:
        ConfigError: There is no OpenGL without a screen here.
    """
    every = round(1.0 / FILMS[kind] / spec.control_dt_s)
    qpos, command = _walk(policy, spec, task, variant)
    content = io.BytesIO()
    mjcf = str(robot_folder(spec.name) / spec.simulation.mjcf)
    np.savez(content, qpos=qpos[::every], command=command[::every], mjcf=np.array(mjcf))
    environment = {"MUJOCO_GL": "osmesa"} | dict(os.environ)
    try:
        process = subprocess.run(
            [sys.executable, "-m", _RENDERER, kind, str(FILMS[kind])],
            input=content.getvalue(),
            capture_output=True,
            env=environment,
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _no_film(f"rendering took over {_LONGEST_S} s") from None
    if process.returncode != 0:
        said = process.stderr.decode(errors="replace").strip().splitlines()
        raise _no_film(said[-1] if said else f"exit code {process.returncode}")
    return process.stdout


def _no_film(reason: str) -> ConfigError:
    return ConfigError(
        f"OpenGL can't render here ({reason})",
        fix="Install libosmesa6 (Debian), or set MUJOCO_GL to egl or glfw.",
    )


@torch.no_grad()
def _walk(
    policy: Policy, spec: RobotSpec, task: VelocityTask, variant: RobotVariant
) -> tuple[FloatArray, FloatArray]:
    """Positions (T, nq) and commands (T, 3) of one robot, put down at rest."""
    columns, held = TransitionColumns.of(spec), round(SECONDS_EACH / spec.control_dt_s)
    still = ResetRange(base_velocity=0.0, joint_factor=(1.0, 1.0))
    action = torch.zeros(1, spec.joint_count)
    positions, commands = [], []
    with RobotBatch(spec, 1, seed=0, threads=1, reset_range=still, variant=variant) as batch:
        state = batch.state()
        for share in SCRIPT:
            command = np.array(share) * task.command_upper
            for _ in range(held):
                observation = build_observation(
                    columns,
                    torch.from_numpy(state.astype(np.float32)),
                    torch.from_numpy(command.astype(np.float32))[None],
                    action,
                )
                action = policy(observation)
                state = batch.step(action.numpy()).state
                positions.append(batch.generalised_position[0])
                commands.append(command)
    return np.array(positions), np.array(commands)
