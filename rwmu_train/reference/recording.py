"""Record transitions of simulated robots, episode by episode.

Rows are taken before a reset: a fall is the last row of its episode, with termination 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_deploy.simulation.robot_variant import NOMINAL, RobotVariant
from rwmu_train.environment.simulated_dynamics import SimulatedDynamics
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.reference.behaviours import Behaviour
from rwmu_train.reference.episode_buffer import EpisodeBuffer, RecordedEpisode
from rwmu_train.task.velocity_task import (
    EpisodeTiming,
    ObservationNoise,
    RewardShape,
    VelocityTask,
)

GROUPS = 2
"""While the physics of one group of robots is computed, policies act for the other. Fixed, so
that what is recorded does not depend on the machine."""


@dataclass(frozen=True)
class RecordingSettings:
    """How much is recorded, and how far behaviour strays from its policy.

    Raises:
        ConfigError: A value is out of its range.
    """

    rows: int = 100_000
    """At least so many; every robot makes as many."""
    robots: int = 500
    action_noise: tuple[float, ...] = (0.0, 0.1, 0.3, 0.6, 1.0)
    """Standard deviations of white noise on the actions; robots take them in turn."""
    command_steps: tuple[int, int] = (100, 500)
    """Range of the time between new commands, in control steps."""
    rows_per_file: int = 100_000
    """Rows that may wait to be written; a file holds those of one behaviour."""
    seed: int = 0
    variant: RobotVariant = NOMINAL
    """How the robots differ from their model file."""

    def __post_init__(self) -> None:
        if not (self.rows >= self.robots >= 1):
            raise ConfigError(
                f"{self.rows} rows by {self.robots} robots; allowed is at least a row a robot",
                fix="Ask for more rows or fewer robots.",
            )
        if not (self.action_noise and all(0.0 <= level < np.inf for level in self.action_noise)):
            raise ConfigError(
                f"action noise {self.action_noise}; allowed is 0 up", fix="Correct it."
            )
        for name, lowest in (("rows_per_file", 1), ("seed", 0)):
            if not getattr(self, name) >= lowest:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}; allowed is {lowest} up", fix="Correct it."
                )

    @property
    def steps(self) -> int:
        """Control steps of every robot."""
        return -(-self.rows // self.robots)


def record(
    behaviours: Sequence[Behaviour],
    spec: RobotSpec,
    task: VelocityTask,
    settings: RecordingSettings,
    on_step: Callable[[int, int], None] | None = None,
) -> Iterator[RecordedEpisode]:
    """Let robots act, robot i by behaviour i mod B; give episodes as they end.

    Memory holds the episodes that have not ended, and nothing of those that were given. Equal
    arguments give equal episodes in equal order, whatever the machine.

    Args:
        behaviours: B of them.
        spec: The robot.
        task: Gives commands and pushes.
        settings: How much and how.
        on_step: Told the control steps done and of all.

    Raises:
        ConfigError: There are fewer robots than pairs of behaviour and noise level.
    """
    pairs = len(behaviours) * len(settings.action_noise)
    if not settings.robots >= pairs >= 1:
        raise ConfigError(
            f"{settings.robots} robots for {len(behaviours)} behaviours x "
            f"{len(settings.action_noise)} levels of action noise; allowed is at least a robot "
            f"for each of the {pairs} pairs, and one behaviour or more",
            fix="Ask for more robots, fewer behaviours or fewer levels.",
        )
    bounds = np.linspace(0, settings.robots, min(GROUPS, settings.robots) + 1).astype(int)
    with ExitStack() as stack:
        groups = [
            stack.enter_context(RobotGroup(behaviours, spec, task, settings, first, last))
            for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
        ]
        # Each thread has its own setting. With more, products would be rounded otherwise on
        # another number of processors, and would be in the way of the physics.
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        pool = stack.enter_context(
            ThreadPoolExecutor(len(groups), initializer=torch.set_num_threads, initargs=(1,))
        )
        running = [pool.submit(group.advance) for group in groups]
        for step in range(1, settings.steps + 1):
            for k, group in enumerate(groups):
                episodes = running[k].result()
                if step < settings.steps:
                    running[k] = pool.submit(group.advance)
                yield from episodes
            if on_step is not None:
                on_step(step, settings.steps)
        for group in groups:
            yield from group.end_all()


class RobotGroup:
    """Robots `first` to `last` - 1 of a recording, with an environment of their own."""

    def __init__(
        self,
        behaviours: Sequence[Behaviour],
        spec: RobotSpec,
        task: VelocityTask,
        settings: RecordingSettings,
        first: int,
        last: int,
    ) -> None:
        count = last - first
        # Apart from every other group and every other seed.
        seed = int(np.random.SeedSequence([settings.seed, first]).generate_state(1)[0])
        self.batch = RobotBatch(spec, count, seed=seed, variant=settings.variant)
        timing = EpisodeTiming(command_steps=settings.command_steps)
        self.env = VelocityEnv(
            spec,
            replace(task, reward_weights={}),
            EnvSettings(timing, RewardShape(), ObservationNoise()),
            SimulatedDynamics(self.batch),
            seed=seed,
        )
        self._generator = torch.Generator().manual_seed(seed)
        # Robots start at different ages, so that their resets do not fall together.
        self.env.episode_length_buf = torch.randint(
            0, timing.episode_steps, (count,), generator=self._generator
        )
        robots = torch.arange(first, last)
        levels = torch.tensor(settings.action_noise)
        # Behaviours vary fastest, so that every behaviour meets every noise level.
        self._level = levels[(robots // len(behaviours)) % len(levels)].unsqueeze(1)
        self._first, self._steps = first, 0
        self._parts = [
            (behaviour, (robots % len(behaviours) == k).nonzero().flatten())
            for k, behaviour in enumerate(behaviours)
        ]
        self._observation = self.env.get_observations()["policy"]
        self._rows = np.zeros((count, self.env.columns.count), dtype=np.float32)
        self._buffer = EpisodeBuffer(
            count, timing.episode_steps, self.env.columns.count, first_robot=first
        )

    @torch.no_grad()
    def advance(self) -> list[RecordedEpisode]:
        """One control step of all robots; the episodes that it ended."""
        env, columns, rows = self.env, self.env.columns, self._rows
        action = self._act()
        before = env.command.clone()
        tensors, _, dones, extras = env.step(action)
        outcome, done = extras["outcome"], dones.bool().unsqueeze(1)
        # A robot that goes on is seen as the policy will see it, pushes included.
        rows[:, columns.state] = torch.where(done, outcome.state, env.state)
        rows[:, columns.action.slice] = torch.clamp(action, *env.action_limits)
        rows[:, columns.extension.slice] = outcome.extension
        rows[:, columns.contact.slice] = outcome.contact
        rows[:, columns.termination.start] = outcome.fell
        self._buffer.append(rows, torch.where(done, before, env.command).numpy())
        self._observation = tensors["policy"]
        return self._buffer.end(dones.nonzero().flatten().tolist(), outcome.fell.numpy())

    def end_all(self) -> list[RecordedEpisode]:
        """Cut off what every robot has."""
        return self._buffer.end_all()

    def _act(self) -> Tensor:
        action = torch.empty(self.env.num_envs, self.env.num_actions)
        time_s = self._steps * self.env.spec.control_dt_s
        for behaviour, part in self._parts:
            action[part] = behaviour(self._observation[part], part + self._first, time_s)
        self._steps += 1
        return action + self._level * torch.randn(action.shape, generator=self._generator)

    def __enter__(self) -> RobotGroup:
        return self

    def __exit__(self, *_: object) -> None:
        self.batch.close()
