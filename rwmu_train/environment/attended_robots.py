"""An environment's robots, and a demonstrator who is told what becomes of them."""

from __future__ import annotations

import torch
from torch import Tensor

from rwmu_train.environment.velocity_env import VelocityEnv
from rwmu_train.policy.demonstrator import Demonstrator


class AttendedRobots:
    """Whoever moves the robots, the demonstrator knows which feet touch and who begins anew.

    N = robots, O = observation size, A = action size.

    Args:
        env: Its robots have just been put down.
        demonstrator: On as many robots.
    """

    def __init__(self, env: VelocityEnv, demonstrator: Demonstrator) -> None:
        self._env, self._demonstrator = env, demonstrator
        contacts = env.spec.contact_names
        self._feet = [contacts.index(name) for name in env.spec.foot_names]
        self._touching = torch.ones(env.num_envs, len(self._feet))
        demonstrator.begin(torch.arange(env.num_envs), env.command)

    def answer(self, observation: Tensor) -> Tensor:
        """What the demonstrator would do, within the joint limits; shapes (N, O) and (N, A).

        To be asked once a step: it may have a clock.
        """
        action = self._demonstrator.act(observation, self._touching)
        return torch.clamp(action, *self._env.action_limits)

    def step(self, action: Tensor) -> Tensor:
        """Move the robots; rewards, shape (N,)."""
        _, reward, dones, extras = self._env.step(action)
        self._touching = extras["outcome"].contact[:, self._feet]
        ended = dones.nonzero().flatten()
        self._touching[ended] = 1.0
        self._demonstrator.begin(ended, self._env.command[ended])
        return reward
