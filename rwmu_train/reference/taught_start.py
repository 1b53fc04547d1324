"""Where online PPO begins from: what another policy does, learned in the simulated robot.

A humanoid under a fresh policy falls within a second or two, and a hundred iterations pass before
it stands. Taught by a policy that stands (`rwmu-export --onnx --stand`), it explores standing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rwmu_train.environment.velocity_env import VelocityEnv
from rwmu_train.policy.behaviour_cloning import CloningSettings, Demonstrations, clone_behaviour
from rwmu_train.policy.ppo_runner import PpoRunner
from rwmu_train.policy.teacher import Teacher

STEPS = 100
"""Of every robot, with the first policy's exploration around what the teacher does."""
CLONING = CloningSettings(steps=6000)
CRITIC_WARM_UP = 5
"""First iterations in which the actor is held still; the critic has to learn what it is worth."""


def learn_from(
    teacher: Teacher,
    runner: PpoRunner,
    env: VelocityEnv,
    *,
    seed: int,
    on_step: Callable[[int, float], None] | None = None,
) -> float:
    """Let the teacher act with noise, and fit the runner's actor to its answers.

    Args:
        teacher: Whom to imitate.
        runner: A fresh one on `env`; its normalisers learn what is seen too.
        env: The robots; they go on from where the teacher leaves them.
        seed: Of the noise and of the fitting.
        on_step: Progress of the fitting: steps done, and the latest squared error.

    Returns:
        Root mean square error of the action.
    """
    generator = torch.Generator().manual_seed(seed)
    seen, answers = [], []
    with torch.no_grad():
        for _ in range(STEPS):
            observation = env.get_observations()
            runner.actor.update_normalization(observation)
            runner.alg.critic.update_normalization(observation)
            # Answers to what the actor sees, noise included: to the truth behind it they would
            # teach smaller gains, with which a robot that balances falls.
            actor_sees = observation["policy"]
            teacher_sees = torch.where(env.actor_view.seen > 0, actor_sees, observation["critic"])
            answer = teacher.act(teacher_sees)
            seen.append(actor_sees)
            answers.append(answer)
            noise = torch.randn(answer.shape, generator=generator)
            env.step(answer + runner.settings.initial_std * noise)
    shown = Demonstrations(torch.cat(seen), torch.cat(answers))
    return clone_behaviour(runner.actor, shown, _as_it_is, CLONING, seed=seed, on_step=on_step)


def _as_it_is(observation: Tensor, _: torch.Generator) -> Tensor:
    return observation
