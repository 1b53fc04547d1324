"""An environment whose step is captured once and then replayed.

On a GPU an imagined step is some four hundred small kernels, and to start them one by one takes
longer than to run them. Captured as a CUDA graph they start as one. What is replayed are the same
kernels on the same memory: no Python runs, so whatever a step leaves for the next one lies in
tensors that are written in place, and nothing in it may depend on a number that the host reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, Protocol

import torch
from tensordict import TensorDict
from torch import Tensor

from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_train.environment.chosen_robots import MaskedRobots
from rwmu_train.environment.dynamics import Dynamics
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.task.velocity_task import VelocityTask

FIRST_STEPS = 3
"""Steps before the captured one: libraries set themselves up in their first calls."""
STEPS_BETWEEN_VISITS = 32
"""Between two calls of what may wait for the device."""

Answer = tuple[TensorDict, Tensor, Tensor, dict[str, Any]]
"""What a step of an environment returns."""


class StepGraph(Protocol):
    """A step that can be replayed."""

    def capture(self, step: Callable[[], Answer]) -> Answer:
        """Note what a step does; what it returns is filled by `replay`."""
        ...

    def replay(self) -> None:
        """Do it."""
        ...


class CapturedEnv(VelocityEnv):
    """A `VelocityEnv` whose robots are told by a mask and whose step is a graph.

    Args:
        spec: The robot.
        task: What is asked.
        settings: Timing, reward shape and noise.
        dynamics: What moves the robots, in tensors alone.
        seed: Seed of commands, pushes and noise.
        graph: Of a step that draws from the environment's generator of random numbers.
        between_steps: Called every `STEPS_BETWEEN_VISITS` steps; may wait for the device.
    """

    def __init__(
        self,
        spec: RobotSpec,
        task: VelocityTask,
        settings: EnvSettings,
        dynamics: Dynamics,
        *,
        seed: int,
        graph: Callable[[torch.Generator], StepGraph],
        between_steps: Callable[[], None],
    ) -> None:
        super().__init__(spec, task, settings, dynamics, seed=seed, choose=MaskedRobots)
        self._graph, self._between_steps = graph(self._generator), between_steps
        self._actions = torch.zeros(self.num_envs, self.num_actions, device=self.device)
        self._answer: Answer | None = None
        self._steps_done = 0

    def step(self, actions: Tensor) -> Answer:
        """As `VelocityEnv.step`."""
        if self._steps_done % STEPS_BETWEEN_VISITS == 0:
            self._between_steps()
        self._steps_done += 1
        if self._steps_done <= FIRST_STEPS:
            return super().step(actions)
        self._actions.copy_(actions)
        if self._answer is None:
            take_step = super().step
            self._answer = self._graph.capture(lambda: take_step(self._actions))
        self._graph.replay()
        return _copied(self._answer)


def _copied(answer: Answer) -> Answer:
    """The next step overwrites the original."""
    observation, rewards, dones, extras = answer
    outcome = extras["outcome"]
    own = {field.name: getattr(outcome, field.name).clone() for field in fields(outcome)}
    log = {name: value.clone() for name, value in extras["log"].items()}
    copied = {
        "time_outs": extras["time_outs"].clone(),
        "outcome": replace(outcome, **own),
        "log": log,
    }
    return observation.clone(), rewards.clone(), dones.clone(), copied
