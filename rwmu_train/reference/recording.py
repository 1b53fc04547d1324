"""Record transitions of policies in the batch of simulated robots.

Rows are taken before a reset: a fall is the last row of its episode, with termination 1.
N = robots, T = steps, C = columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rwmu_deploy.collection.transition_segment import EpisodeSpan, SegmentOrigin, write_segment
from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_train.environment.simulated_dynamics import SimulatedDynamics
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.task.velocity_task import (
    EpisodeTiming,
    ObservationNoise,
    RewardShape,
    VelocityTask,
)

Policy = Callable[[Tensor], Tensor]
"""Observations (n, O) to actions (n, A)."""


@dataclass(frozen=True)
class RecordingSettings:
    """How much is recorded, and how far behaviour strays from its policy."""

    rows: int = 100_000
    robots: int = 500
    action_noise: tuple[float, ...] = (0.0, 0.1, 0.3, 0.6, 1.0)
    """Standard deviations of white noise on the actions; robots take them in turn."""
    command_steps: tuple[int, int] = (100, 500)
    """Range of the time between new commands, in control steps."""
    rows_per_file: int = 100_000
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.rows >= self.robots >= 1):
            raise ConfigError(
                f"{self.rows} rows by {self.robots} robots; allowed is at least a row a robot",
                fix="Ask for more rows or fewer robots.",
            )
        if not all(0.0 <= level < np.inf for level in self.action_noise):
            raise ConfigError(
                f"action noise {self.action_noise}; allowed is 0 up", fix="Correct it."
            )


@dataclass(frozen=True)
class Recording:
    """Rows robot by robot, each robot's in time order."""

    rows: NDArray[np.float32]
    """Shape (N * T, C)."""
    command: NDArray[np.float32]
    """The command that the policy saw at each row, shape (N * T, 3)."""
    ended: NDArray[np.bool_]
    """Rows that are the last of an episode, shape (N * T,)."""
    fell: NDArray[np.bool_]
    """Those of them that are falls."""


@torch.no_grad()
def record(
    policies: Sequence[Policy],
    spec: RobotSpec,
    task: VelocityTask,
    settings: RecordingSettings,
    on_step: Callable[[int, int], None] | None = None,
) -> Recording:
    """Let robots walk under policies (robot i takes policy i mod P); note what happens."""
    n, steps = settings.robots, -(-settings.rows // settings.robots)
    env_settings = EnvSettings(
        EpisodeTiming(command_steps=settings.command_steps), RewardShape(), ObservationNoise()
    )
    generator = torch.Generator().manual_seed(settings.seed)
    levels = torch.tensor(settings.action_noise)
    # Policies vary fastest, so that every policy meets every noise level.
    level = levels[(torch.arange(n) // len(policies)) % len(levels)].unsqueeze(1)
    groups = [torch.arange(k, n, len(policies)) for k in range(min(n, len(policies)))]
    with RobotBatch(spec, n, seed=settings.seed) as batch:
        env = VelocityEnv(spec, task, env_settings, SimulatedDynamics(batch), seed=settings.seed)
        # Robots start at different ages, so that their resets do not fall together.
        env.episode_length_buf = torch.randint(0, 1000, (n,), generator=generator)
        columns = env.columns
        rows = np.empty((n, steps, columns.count), dtype=np.float32)
        command = np.empty((n, steps, 3), dtype=np.float32)
        ended = np.zeros((n, steps), dtype=bool)
        observation = env.get_observations()["policy"]
        for step in range(steps):
            action = torch.empty(n, env.num_actions)
            for policy, group in zip(policies, groups, strict=False):
                action[group] = policy(observation[group])
            action = action + level * torch.randn(action.shape, generator=generator)
            before = env.command.clone()
            tensors, _, dones, extras = env.step(action)
            outcome, done = extras["outcome"], dones.bool()
            # A robot that goes on is seen as the policy will see it, pushes included.
            state = torch.where(done.unsqueeze(1), outcome.state, env.state)
            rows[:, step, columns.state] = state
            rows[:, step, columns.action.slice] = torch.clamp(action, *env.action_limits)
            rows[:, step, columns.contact.slice] = outcome.contact
            rows[:, step, columns.termination.start] = outcome.fell
            command[:, step] = torch.where(done.unsqueeze(1), before, env.command)
            ended[:, step] = done
            observation = tensors["policy"]
            if on_step is not None:
                on_step(step + 1, steps)
    ended[:, -1] = True
    flat = rows.reshape(-1, columns.count)
    return Recording(
        flat,
        command.reshape(-1, 3),
        ended.reshape(-1),
        flat[:, columns.termination.start] > 0.5,
    )


def spans_of(recording: Recording) -> list[EpisodeSpan]:
    """Stretches of one episode with one command."""
    ended = recording.ended
    changed = (recording.command[1:] != recording.command[:-1]).any(axis=1)
    last = np.flatnonzero(ended | np.append(changed, True))
    first = np.concatenate([[0], last[:-1] + 1])
    spans = []
    for begin, end in zip(first.tolist(), last.tolist(), strict=True):
        kind = "continues"
        if ended[end]:
            kind = "terminated" if recording.fell[end] else "truncated"
        vx, vy, wz = (float(value) for value in recording.command[end])
        spans.append(EpisodeSpan(begin, end, kind, (vx, vy, wz)))  # type: ignore[arg-type]
    return spans


def write_recording(
    recording: Recording, spec: RobotSpec, folder: Path, *, rows_per_file: int, note: str
) -> list[Path]:
    """Write segments of whole episodes, each of about `rows_per_file` rows."""
    origin = SegmentOrigin(
        source="sim",
        torque_source="applied joint torque of the simulated drive",
        contact_source="simulated contact force above 1 N, thighs and feet",
        base_velocity_source="simulated velocity of the base's centre of mass",
        note=note,
    )
    ends = np.flatnonzero(recording.ended) + 1
    paths, begin = [], 0
    while begin < len(recording.rows):
        later = ends[ends >= min(begin + rows_per_file, len(recording.rows))]
        end = int(later[0])
        part = Recording(
            recording.rows[begin:end],
            recording.command[begin:end],
            recording.ended[begin:end],
            recording.fell[begin:end],
        )
        paths.append(write_segment(folder, spec, part.rows, spans_of(part), origin))
        begin = end
    return paths
